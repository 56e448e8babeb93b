/* Runs the model linked into this program on x = 0, 1, .. 7 and prints its first output. */
#include "my-model.h"
#include <stdio.h>

static int fail(tenon_status *status) {
  fprintf(stderr, "%s\n", tenon_status_message(status));
  tenon_status_free(status);
  return 1;
}

int main(void) {
  tenon_model *model;
  tenon_session *session;
  tenon_status *status = tenon_model_load_linked(&my_model, NULL, &model);
  if (status)
    return fail(status);
  if ((status = tenon_session_create(model, NULL, &session)))
    return fail(status);
  const tenon_entry *entry = tenon_model_entry(model, 0);
  float x[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  int64_t dims[2] = {2, 4};
  tenon_tensor input = {TENON_F32, 2, dims, x}, output;
  if ((status = tenon_session_bind_input(session, entry, 0, &input)) || (status = tenon_session_run(session, entry)) ||
      (status = tenon_session_get_output(session, entry, 0, &output)))
    return fail(status);
  for (int i = 0; i < 6; ++i)
    printf("%.9g\n", ((const float *)output.data)[i]);
  tenon_session_release(session);
  tenon_model_release(model);
  return 0;
}
