/* A plugin of qemu (API version 1): how often every instruction of the emulated program ran
 * that is not the program's own, which is the code of the artifact that tenon-run loaded.
 *
 *   qemu-aarch64 -plugin executed.so,out=FILE tenon-run ...
 *
 * FILE gets a line for each instruction: its address, its word and the number, by address.
 * The few declarations are qemu's documented interface; Debian ships no header for it. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, enum qemu_plugin_op, void *, uint64_t);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern uint64_t qemu_plugin_start_code(void);
extern uint64_t qemu_plugin_end_code(void);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

struct executed {
  uint64_t address, count;
  uint32_t word;
};

/* Open addressing; entries never move, since translated code counts into them. */
enum { capacity = 1 << 20 };
static struct executed *table;
static size_t used;
static const char *file;

static struct executed *find(uint64_t address) {
  size_t at = (address >> 2) * 0x9E3779B97F4A7C15u >> 44;
  while (table[at].address && table[at].address != address)
    at = (at + 1) % capacity;
  if (!table[at].address && ++used > capacity / 2) {
    fprintf(stderr, "executed: more than %d instructions\n", capacity / 2);
    exit(1);
  }
  return &table[at];
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
  uint64_t begin = qemu_plugin_start_code(), end = qemu_plugin_end_code();
  (void)id;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
    struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
    uint64_t address = qemu_plugin_insn_vaddr(instruction);
    if (address >= begin && address < end)
      continue;
    struct executed *entry = find(address);
    entry->address = address;
    memcpy(&entry->word, qemu_plugin_insn_data(instruction), sizeof(entry->word));
    qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &entry->count, 1);
  }
}

static int byAddress(const void *a, const void *b) {
  const struct executed *x = a, *y = b;
  return x->address < y->address ? -1 : x->address > y->address;
}

static void finish(qemu_plugin_id_t id, void *data) {
  FILE *out = fopen(file, "w");
  (void)id, (void)data;
  if (!out) {
    perror(file);
    return;
  }
  qsort(table, capacity, sizeof(*table), byAddress);
  for (size_t i = 0; i < capacity; ++i)
    if (table[i].count)
      fprintf(out, "%" PRIx64 " %08" PRIx32 " %" PRIu64 "\n", table[i].address, table[i].word, table[i].count);
  fclose(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int count,
                                                               char **arguments) {
  (void)info;
  if (count != 1 || strncmp(arguments[0], "out=", 4) != 0) {
    fprintf(stderr, "executed: wanted out=FILE\n");
    return 1;
  }
  file = strdup(arguments[0] + 4);
  table = calloc(capacity, sizeof(*table));
  if (!table)
    return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, finish, NULL);
  return 0;
}
