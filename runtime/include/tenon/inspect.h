/*===- inspect.h - Describe artifacts and machines in words ----------------===*
 *
 * Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
 *
 *===-----------------------------------------------------------------------===*
 *
 * What `tenon inspect` and `tenon doctor` show. Nothing of an artifact is
 * executed; it is mapped, its checksums compared and its tables checked as for
 * loading, and levels this machine lacks are described as well as others.
 *
 *===-----------------------------------------------------------------------===*/

#ifndef TENON_INSPECT_H
#define TENON_INSPECT_H

#include "tenon/tenon.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tenon_text_format {
  TENON_PLAIN = 0, /**< lines for people; ends with a newline */
  TENON_JSON = 1   /**< one JSON object; no newline */
} tenon_text_format;

/** Levels, entries, shapes, commands, kernels, weights, sizes, hash, metadata. `text` is yours: tenon_text_free. */
TENON_API tenon_status *tenon_inspect_file(const char *path, tenon_text_format format, char **text);
TENON_API tenon_status *tenon_inspect_memory(const void *data, size_t bytes, tenon_text_format format, char **text);

/** CPU features, AMX permission, CPUs this process may use, cgroup limit. `text` is yours: tenon_text_free. */
TENON_API tenon_status *tenon_describe_host(tenon_text_format format, char **text);

/** What this machine lacks of a comma-separated list of features and baselines ("x86-64-v4,avx512bf16"): such a list
    of single features, empty if nothing. `machine` is the ELF e_machine they belong to (62 x86-64, 183 ARM64); another
    kind of machine is said to lack that kind of CPU. `text` is yours: tenon_text_free. */
TENON_API tenon_status *tenon_host_lacks(uint32_t machine, const char *features, char **text);

/** NULL is allowed. */
TENON_API void tenon_text_free(char *text);

#ifdef __cplusplus
}
#endif

#endif /* TENON_INSPECT_H */
