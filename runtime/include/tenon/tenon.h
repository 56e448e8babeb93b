/*===- tenon.h - Load and run .tenon artifacts -----------------------------===*
 *
 * Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
 *
 *===-----------------------------------------------------------------------===*
 *
 * The runtime's C interface (C99). An artifact becomes a *model*: mapped,
 * checked, immutable, shared by any number of *sessions* and threads. A session
 * has the memory of one run at a time. Short:
 *
 *   tenon_model *model;  tenon_session *session;
 *   tenon_status *status = tenon_model_load_file("mini.tenon", NULL, &model);
 *   if (!status) status = tenon_session_create(model, NULL, &session);
 *   const tenon_entry *entry = tenon_model_find_entry(model, "main");
 *
 *   int64_t dims[2] = {1, 16};
 *   tenon_tensor ids = {TENON_I64, 2, dims, my_ids};
 *   status = tenon_session_bind_input(session, entry, 0, &ids);
 *   status = tenon_session_run(session, entry);
 *   tenon_tensor result;
 *   status = tenon_session_get_output(session, entry, 0, &result);
 *
 * Errors. A function that can fail returns a tenon_status: NULL is success,
 * anything else is yours to read and to free with tenon_status_free. Messages
 * say where, what was wanted and what was found. Nothing aborts or throws, and
 * nothing global is kept, so failures in one thread are not seen by another.
 *
 * Trust. An artifact holds native code and is as trusted as a shared library.
 * Its checksums find damage, not malice.
 *
 * Names. Strings the runtime returns are UTF-8, belong to the object they came
 * from and live as long as it does. Dimensions are counted in elements, sizes
 * in bytes, times in nanoseconds.
 *
 *===-----------------------------------------------------------------------===*/

#ifndef TENON_H
#define TENON_H

#include "tenon/kernel_abi.h"

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define TENON_API __attribute__((visibility("default")))
#else
#define TENON_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*===- Status ---------------------------------------------------------------===*/

typedef struct tenon_status tenon_status;

/** Kinds of failure, for programs; people read the message. */
typedef enum tenon_code {
  TENON_OK = 0,
  TENON_INVALID_ARGUMENT = 1, /**< a call that is wrong whatever the model: a null pointer, an index too large */
  TENON_NOT_FOUND = 2,        /**< no entry, input, output or level of that name */
  TENON_IO_ERROR = 3,         /**< the system refused to read or write a file */
  TENON_BAD_ARTIFACT = 4,     /**< not an artifact, cut short, damaged or inconsistent */
  TENON_WRONG_VERSION = 5,    /**< the artifact is newer than this runtime, or of another major version */
  TENON_UNSUPPORTED = 6,      /**< the machine lacks what every level of the artifact needs */
  TENON_BAD_SHAPE = 7,        /**< dtype, rank or dims of an input contradict the model or each other */
  TENON_OUT_OF_MEMORY = 8,
  TENON_BUSY = 9,       /**< the session is in use by another thread */
  TENON_CANCELLED = 10, /**< tenon_session_cancel ended the run */
  TENON_BAD_VALUE = 11, /**< a value in the data is impossible: an index out of range */
  TENON_DEVICE_ERROR =
      12 /**< a GPU or its driver failed; after a kernel's fault the GPU does nothing more in this process,
                               which goes on */
} tenon_code;

/** TENON_OK for NULL. */
TENON_API tenon_code tenon_status_code(const tenon_status *status);
/** One line without a newline at its end; "ok" for NULL. Lives until tenon_status_free. */
TENON_API const char *tenon_status_message(const tenon_status *status);
/** NULL is allowed. */
TENON_API void tenon_status_free(tenon_status *status);

/** The runtime's version, "0.1.0". */
TENON_API const char *tenon_version(void);

/*===- Hooks ----------------------------------------------------------------===*/

typedef enum tenon_log_level { TENON_LOG_DEBUG = 0, TENON_LOG_INFO = 1, TENON_LOG_WARNING = 2 } tenon_log_level;

/** Called with a line of text, perhaps from several threads at once. The runtime itself prints nothing. */
typedef void (*tenon_log_fn)(void *user, tenon_log_level level, const char *message);

/** Memory whose size depends on shapes: arena, scratch, states, outputs the session owns. */
typedef struct tenon_allocator {
  void *user;
  /** At least `bytes` bytes at a multiple of `alignment` (a power of two), or NULL. */
  void *(*allocate)(void *user, size_t bytes, size_t alignment);
  void (*deallocate)(void *user, void *memory, size_t bytes);
} tenon_allocator;

/** Runs work on the caller's threads instead of the session's own. */
typedef struct tenon_executor {
  void *user;
  /** How many tasks may run at once, at least 1. */
  uint32_t threads;
  /** Calls task(context, i) once for each i < count, in any order, on any threads, and returns when all are done. */
  void (*parallel_for)(void *user, uint32_t count, void (*task)(void *context, uint32_t index), void *context);
} tenon_executor;

/** One command that ran. The pointers live as long as the model. */
typedef struct tenon_trace_event {
  const char *name;   /**< kernel name, "copy" */
  const char *source; /**< what it was in the model */
  uint32_t tiles;
  uint64_t start_ns; /**< steady clock */
  uint64_t end_ns;
} tenon_trace_event;

/** Called on the thread that runs the session, after each command. */
typedef void (*tenon_trace_fn)(void *user, const tenon_trace_event *event);

/*===- Tensors --------------------------------------------------------------===*/

typedef enum tenon_dtype {
  TENON_F32 = 1,
  TENON_F16 = 2,
  TENON_BF16 = 3,
  TENON_F64 = 4,
  TENON_I8 = 5,
  TENON_I16 = 6,
  TENON_I32 = 7,
  TENON_I64 = 8,
  TENON_U8 = 9,
  TENON_U16 = 10,
  TENON_U32 = 11,
  TENON_U64 = 12,
  TENON_BOOL = 13 /**< one byte, 0 or 1 */
} tenon_dtype;

/** "f32"; "?" for a value that is no dtype. */
TENON_API const char *tenon_dtype_name(tenon_dtype dtype);
/** Bytes per element; 0 for a value that is no dtype. */
TENON_API size_t tenon_dtype_bytes(tenon_dtype dtype);

/** Contiguous elements, the last dimension varying fastest. Owns nothing. */
typedef struct tenon_tensor {
  tenon_dtype dtype;
  uint32_t rank;
  const int64_t *dims;
  void *data; /**< aligned to the element size; may be NULL if there are no elements; never written for an input */
} tenon_tensor;

/** What an entry takes or gives. */
typedef struct tenon_tensor_info {
  const char *name; /**< as in the model */
  tenon_dtype dtype;
  uint32_t rank;
  const char *const *dims; /**< rank strings: "B", "384", "S + P" */
} tenon_tensor_info;

/*===- Models ---------------------------------------------------------------===*/

typedef struct tenon_model tenon_model;
typedef struct tenon_entry tenon_entry;

/** Start from {sizeof(tenon_model_options)} with the rest zero. */
typedef struct tenon_model_options {
  size_t struct_bytes;
  const char *level; /**< NULL: the best level this machine has, a GPU's before a CPU's; else this one or an error */
  uint32_t threads;  /**< that check the file; 0: as many as CPUs this process may use */
  tenon_log_fn log;  /**< may be NULL */
  void *log_user;
} tenon_model_options;

/** Maps the file, which must not change while the model lives, and checks it whole. `options` may be NULL. */
TENON_API tenon_status *tenon_model_load_file(const char *path, const tenon_model_options *options,
                                              tenon_model **model);
/** The same from memory. 64-byte aligned memory is used in place and must outlive the model and its sessions;
    other memory is copied. */
TENON_API tenon_status *tenon_model_load_memory(const void *data, size_t bytes, const tenon_model_options *options,
                                                tenon_model **model);

/** A program compiled into this one: `tenon compile --emit=object` writes an object file with one and a header that
    declares it. Constant data; kernels are functions of the executable. */
typedef struct tenon_linked_program {
  size_t struct_bytes;
  const void *artifact; /**< its tables and weights, page-aligned */
  size_t artifact_bytes;
  const char *level; /**< what the machine must have: "x86-64-v3" */
  const tenon_kernel_fn *kernels;
  size_t kernel_count;
} tenon_linked_program;

/** The same from this executable itself: nothing is mapped and no memory becomes executable. `options->level`, if
    given, must be the program's. */
TENON_API tenon_status *tenon_model_load_linked(const tenon_linked_program *program, const tenon_model_options *options,
                                                tenon_model **model);
/** Gives the caller's hold up; sessions keep theirs, so the order does not matter. NULL is allowed. */
TENON_API void tenon_model_release(tenon_model *model);

/** The level whose code runs: "x86-64-v4". */
TENON_API const char *tenon_model_level(const tenon_model *model);
/** Bytes of weights, mapped and shared. */
TENON_API uint64_t tenon_model_weight_bytes(const tenon_model *model);

TENON_API size_t tenon_model_metadata_count(const tenon_model *model);
/** Key and value of record `index`; returns 0 if there is none. */
TENON_API int tenon_model_metadata(const tenon_model *model, size_t index, const char **key, const char **value);

TENON_API size_t tenon_model_entry_count(const tenon_model *model);
/** Belongs to the model. NULL if there is no such index or name. */
TENON_API const tenon_entry *tenon_model_entry(const tenon_model *model, size_t index);
TENON_API const tenon_entry *tenon_model_find_entry(const tenon_model *model, const char *name);

TENON_API const char *tenon_entry_name(const tenon_entry *entry);
TENON_API size_t tenon_entry_input_count(const tenon_entry *entry);
TENON_API size_t tenon_entry_output_count(const tenon_entry *entry);
TENON_API tenon_status *tenon_entry_input(const tenon_entry *entry, size_t index, tenon_tensor_info *info);
TENON_API tenon_status *tenon_entry_output(const tenon_entry *entry, size_t index, tenon_tensor_info *info);
/** The index of a name; the error lists the names there are. */
TENON_API tenon_status *tenon_entry_find_input(const tenon_entry *entry, const char *name, size_t *index);
TENON_API tenon_status *tenon_entry_find_output(const tenon_entry *entry, const char *name, size_t *index);

/** The dims of an output for given inputs, without running. `input_dims[i]` has as many dims as input i has rank;
    `dims` has room for the output's rank. Sizes that a session keeps (the filled part of a cache) are those of a new
    session. */
TENON_API tenon_status *tenon_entry_output_dims(const tenon_entry *entry, const int64_t *const *input_dims,
                                                size_t index, int64_t *dims);

/*===- Sessions -------------------------------------------------------------===*/

typedef struct tenon_session tenon_session;

/** Start from {sizeof(tenon_session_options)} with the rest zero. */
typedef struct tenon_session_options {
  size_t struct_bytes;
  uint32_t threads;                 /**< with the caller's; 0: as many as CPUs this process may use */
  const tenon_executor *executor;   /**< NULL: the session's own threads; copied */
  const tenon_allocator *allocator; /**< NULL: the system's memory; copied */
  tenon_log_fn log;                 /**< may be NULL */
  void *log_user;
  tenon_trace_fn trace; /**< may be NULL */
  void *trace_user;
} tenon_session_options;

/** `options` may be NULL. A session is used by one thread at a time; a second one gets TENON_BUSY and changes nothing.
    Different sessions of a model run at once. */
TENON_API tenon_status *tenon_session_create(tenon_model *model, const tenon_session_options *options,
                                             tenon_session **session);
/** Not while it runs. NULL is allowed. */
TENON_API void tenon_session_release(tenon_session *session);

/** The session reads `tensor->data` in each run until another is bound; the struct and its dims are copied. */
TENON_API tenon_status *tenon_session_bind_input(tenon_session *session, const tenon_entry *entry, size_t index,
                                                 const tenon_tensor *tensor);
/** Runs write to `data`, which must hold `bytes` bytes and not overlap an input. NULL: back to the session's own
    memory. */
TENON_API tenon_status *tenon_session_bind_output(tenon_session *session, const tenon_entry *entry, size_t index,
                                                  void *data, size_t bytes);

/** Computes the entry's outputs from its bound inputs. Plans the shape when it is new (the last 8 are kept) and takes
    memory for it; nothing is allocated after that. On error the outputs and states are undefined. */
TENON_API tenon_status *tenon_session_run(tenon_session *session, const tenon_entry *entry);

/** The output of the last successful run. What `tensor` points to lives until the entry's next run. */
TENON_API tenon_status *tenon_session_get_output(tenon_session *session, const tenon_entry *entry, size_t index,
                                                 tenon_tensor *tensor);

/** Takes memory for these shapes now, so that running them or anything smaller takes none. `input_dims` as for
    tenon_entry_output_dims. */
TENON_API tenon_status *tenon_session_reserve(tenon_session *session, const tenon_entry *entry,
                                              const int64_t *const *input_dims);

/** All states (key/value caches, recurrences) and kept sizes back to what they are in a new session. */
TENON_API tenon_status *tenon_session_reset_states(tenon_session *session);
/** The bytes of a state, to save or restore; they live as long as the session. Of a session on a GPU they are a copy,
    made by this call and sent back by the next run: ask again after each. */
TENON_API tenon_status *tenon_session_get_state(tenon_session *session, const char *name, void **data, size_t *bytes);

/** A size the session keeps from run to run, such as how much of a cache is filled; with the states' bytes it is what
    there is to save. An entry that would take it out of its bounds fails before it has run anything. */
TENON_API tenon_status *tenon_session_get_kept(tenon_session *session, const char *name, int64_t *value);
/** To restore what was saved, or to take back the last rows of a cache. The value must be in the symbol's bounds. */
TENON_API tenon_status *tenon_session_set_kept(tenon_session *session, const char *name, int64_t value);

/** From any thread: the run in progress ends with TENON_CANCELLED before its next command; on a GPU what has been
    launched runs to its end. No run: no effect. */
TENON_API void tenon_session_cancel(tenon_session *session);

/** Threads it computes with; 1 on a GPU. */
TENON_API uint32_t tenon_session_threads(const tenon_session *session);
/** Bytes it holds for arena and scratch now, the GPU's if it runs there. */
TENON_API uint64_t tenon_session_memory(const tenon_session *session);

/** Records up to `max_events` commands per thread from here on; 0 stops and forgets. */
TENON_API tenon_status *tenon_session_start_trace(tenon_session *session, size_t max_events);
/** Writes what was recorded as JSON for chrome://tracing and ui.perfetto.dev. */
TENON_API tenon_status *tenon_session_write_trace(tenon_session *session, const char *path);

#ifdef __cplusplus
}
#endif

#endif /* TENON_H */
