/*===- run_artifact.c - an artifact from C99 -------------------------------===*
 *
 *   run-artifact model.tenon 1 16
 *
 * Runs the first entry point, every dynamic dim of every input given in order on the
 * command line (the dims of the first input, then of the second, ...), on zeros,
 * and prints the outputs' shapes. Uses tenon.h and the C library alone.
 *
 *===-----------------------------------------------------------------------===*/
#include <stdio.h>
#include <stdlib.h>
#include <tenon/tenon.h>

static void check(tenon_status *status) {
  if (!status)
    return;
  fprintf(stderr, "error: %s\n", tenon_status_message(status));
  tenon_status_free(status);
  exit(1);
}

/* A number for a static dim, the next word of the command line for a dynamic one. */
static int64_t next_dim(const char *dim, char ***words) {
  char *end;
  int64_t size = strtoll(dim, &end, 10);
  if (*end == 0)
    return size;
  if (!**words) {
    fprintf(stderr, "error: no size given for %s\n", dim);
    exit(2);
  }
  return strtoll(*(*words)++, NULL, 10);
}

static void bind_zeros(tenon_session *session, const tenon_entry *entry, size_t index, char ***words) {
  int64_t dims[16];
  size_t bytes = 1;
  tenon_tensor_info info;
  tenon_tensor tensor;
  uint32_t i;
  check(tenon_entry_input(entry, index, &info));
  bytes = tenon_dtype_bytes(info.dtype);
  for (i = 0; i < info.rank && i < 16; ++i)
    bytes *= (size_t)(dims[i] = next_dim(info.dims[i], words));
  tensor.dtype = info.dtype;
  tensor.rank = info.rank;
  tensor.dims = dims;
  tensor.data = calloc(bytes ? bytes : 1, 1); /* read in each run: freed with the process */
  check(tenon_session_bind_input(session, entry, index, &tensor));
}

static void print_output(tenon_session *session, const tenon_entry *entry, size_t index) {
  tenon_tensor_info info;
  tenon_tensor tensor;
  uint32_t i;
  check(tenon_entry_output(entry, index, &info));
  check(tenon_session_get_output(session, entry, index, &tensor));
  printf("%s: %s [", info.name, tenon_dtype_name(tensor.dtype));
  for (i = 0; i < tensor.rank; ++i)
    printf("%s%lld", i ? ", " : "", (long long)tensor.dims[i]);
  printf("]\n");
}

int main(int count, char **words) {
  tenon_model *model;
  tenon_session *session;
  const tenon_entry *entry;
  size_t i;
  if (count < 2) {
    fprintf(stderr, "usage: run-artifact ARTIFACT [DIM ...]\n");
    return 2;
  }
  words += 2;
  check(tenon_model_load_file(words[-1], NULL, &model));
  check(tenon_session_create(model, NULL, &session));
  entry = tenon_model_entry(model, 0);
  for (i = 0; i < tenon_entry_input_count(entry); ++i)
    bind_zeros(session, entry, i, &words);
  check(tenon_session_run(session, entry));
  for (i = 0; i < tenon_entry_output_count(entry); ++i)
    print_output(session, entry, i);
  tenon_session_release(session);
  tenon_model_release(model);
  return 0;
}
