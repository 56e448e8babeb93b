/* Runs an artifact from C99: main(x: [N]) = x + w. Usage: uses_tenon ARTIFACT */
#include <tenon/inspect.h>
#include <tenon/tenon.h>

#include <stdio.h>

static int report(tenon_status *status) {
  if (!status)
    return 0;
  fprintf(stderr, "%s\n", tenon_status_message(status));
  tenon_status_free(status);
  return 1;
}

int main(int count, char **words) {
  tenon_model *model = NULL;
  tenon_session *session = NULL;
  const float x[3] = {1.0f, 2.0f, 3.0f};
  const int64_t dims[1] = {3};
  tenon_tensor input = {TENON_F32, 1, NULL, NULL}, output;
  const tenon_entry *entry;
  int failed;

  if (count != 2)
    return 2;
  input.dims = dims;
  input.data = (void *)x;
  failed = report(tenon_model_load_file(words[1], NULL, &model)) || report(tenon_session_create(model, NULL, &session));
  if (!failed) {
    entry = tenon_model_find_entry(model, "main");
    failed = report(tenon_session_bind_input(session, entry, 0, &input)) ||
             report(tenon_session_run(session, entry)) || report(tenon_session_get_output(session, entry, 0, &output));
  }
  if (!failed)
    printf("%g %g %g by %s\n", ((const float *)output.data)[0], ((const float *)output.data)[1],
           ((const float *)output.data)[2], tenon_version());
  tenon_session_release(session);
  tenon_model_release(model);
  return failed;
}
