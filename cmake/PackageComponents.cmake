# Read by cpack once for each generator: which components its package has.
set(CPACK_COMPONENTS_ALL runtime compiler development)
if(CPACK_GENERATOR STREQUAL "TGZ")
  list(APPEND CPACK_COMPONENTS_ALL bundle)
  set(CPACK_PACKAGING_INSTALL_PREFIX "")
  set(CPACK_COMPONENT_INCLUDE_TOPLEVEL_DIRECTORY ON) # else it would unpack into the current folder
else()
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
endif()
