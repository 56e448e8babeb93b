# What is installed, in components, and the two packages made of it:
#
#   runtime      libtenon_rt, its headers, tenon-run (installed by runtime/)
#   compiler     tenon, its completion for bash, the documentation
#   development  the compiler library for find_package(Tenon)
#   bundle       the shared libraries `tenon` needs, beside it in lib/tenon/lib
#
#   cpack --config build/release/CPackConfig.cmake     both, into the current folder
#
# The .tar.gz has the bundle and runs wherever there is a C library as old as this one's; the .deb
# has none and depends on Debian's packages.
if(TENON_BUILD_COMPILER)
  # The bundle first, then Debian's place for LLVM. RPATH, not RUNPATH: it also holds for
  # the libraries' own libraries, but for LLVM's, which have a RUNPATH of their own: $ORIGIN/../lib.
  set_target_properties(tenon PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/tenon/lib;/usr/lib/llvm-22/lib")
  target_link_options(tenon PRIVATE LINKER:--disable-new-dtags)
  set_target_properties(tenon-run PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/tenon/lib")
  target_link_options(tenon-run PRIVATE LINKER:--disable-new-dtags)
  install(TARGETS tenon RUNTIME_DEPENDENCY_SET tenon_dependencies COMPONENT compiler)
  install(RUNTIME_DEPENDENCY_SET tenon_dependencies
          PRE_EXCLUDE_REGEXES "^ld-linux" "^lib(c|m|dl|rt|pthread|resolv)\\.so"
          DIRECTORIES /usr/lib/llvm-22/lib
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/tenon/lib COMPONENT bundle)
  set(completions ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(CODE "file(MAKE_DIRECTORY \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${completions}\")
                execute_process(COMMAND $<TARGET_FILE:tenon> completion COMMAND_ERROR_IS_FATAL ANY
                                OUTPUT_FILE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${completions}/tenon\")"
          COMPONENT compiler)
  install(FILES README.md LICENSE NOTICE SECURITY.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT compiler)

  # The libraries of ours that TenonDriver is made of.
  function(tenon_collect target result)
    set(found ${${result}})
    if(NOT TARGET ${target} OR target IN_LIST found)
      return()
    endif()
    get_target_property(imported ${target} IMPORTED)
    get_target_property(alias ${target} ALIASED_TARGET)
    if(imported OR alias)
      return()
    endif()
    list(APPEND found ${target})
    get_target_property(links ${target} LINK_LIBRARIES)
    foreach(link IN LISTS links)
      tenon_collect("${link}" found)
    endforeach()
    set(${result} ${found} PARENT_SCOPE)
  endfunction()
  set(libraries)
  tenon_collect(TenonDriver libraries)
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Tenon)
  install(TARGETS ${libraries} EXPORT TenonTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/tenon-compiler
          COMPONENT development)
  install(EXPORT TenonTargets NAMESPACE Tenon:: DESTINATION ${package} COMPONENT development)
  set_target_properties(TenonDriver PROPERTIES EXPORT_NAME Compiler)
  install(DIRECTORY compiler dialects frontends DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tenon-compiler
          COMPONENT development FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
  install(DIRECTORY ${PROJECT_BINARY_DIR}/dialects DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tenon-compiler
          COMPONENT development FILES_MATCHING PATTERN "*.h.inc" PATTERN CMakeFiles EXCLUDE)
  install(FILES runtime/src/format.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tenon-compiler/runtime/src
          COMPONENT development)
  include(CMakePackageConfigHelpers)
  configure_package_config_file(cmake/TenonConfig.cmake.in ${PROJECT_BINARY_DIR}/TenonConfig.cmake
                                INSTALL_DESTINATION ${package})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/TenonConfigVersion.cmake COMPATIBILITY SameMajorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/TenonConfig.cmake ${PROJECT_BINARY_DIR}/TenonConfigVersion.cmake
          DESTINATION ${package} COMPONENT development)
endif()

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_NAME tenon)
set(CPACK_PACKAGE_VENDOR "The Tenon project")
set(CPACK_PACKAGE_CONTACT "The Tenon project <tenon@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Ahead-of-time compiler for transformer models")
string(TOLOWER ${CMAKE_SYSTEM_NAME} system)
set(CPACK_PACKAGE_FILE_NAME tenon-${PROJECT_VERSION}-${system}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 0)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libmlir-22-dev, llvm-22-dev") # for find_package(Tenon)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/PackageComponents.cmake)
include(CPack)
