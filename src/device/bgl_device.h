/* The interface that a chip implements: one C table of functions, found by dlopen. Everything above it is common code.
 *
 * A plugin is a shared library that exports bgl_device_entry(). Its table and every struct begin with their size in bytes: a host
 * reads no member beyond the plugin's size, a plugin none beyond the host's, so members may be added at the end of either.
 *
 * Calls. Every function returns a bgl_status; after a failure last_error() tells the calling thread why in one line. Handles are
 * opaque and belong to the device that made them; a device outlives them. Functions may be called from any thread, but one queue
 * from one thread at a time. A queue runs its work in order; two queues meet by events only. A plugin starts no threads of its own
 * for host work: it has parallel_for.
 *
 * Kernels. compile() takes text in one of the dialects that describe() lists. A launch runs the programs of a grid with one 8-byte
 * slot for each parameter: the address() of a memory plus an offset, an i64, or an f32 in the low four bytes. The dialect "tile" is
 * the text form of our own language; a plugin that lists it may print it itself, or ask the host to lower it.
 */
#ifndef BGL_DEVICE_H
#define BGL_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BGL_DEVICE_VERSION 1

typedef int32_t bgl_status;
enum {
  BGL_OK = 0,
  BGL_INVALID = 1,     /* the call is wrong */
  BGL_NO_MEMORY = 2,   /* may work with less */
  BGL_UNSUPPORTED = 3, /* right, but this device cannot */
  BGL_LOST = 4,        /* the device has gone: close it */
  BGL_FAILED = 5,      /* anything else */
  BGL_NOT_READY = 6    /* event_query: not yet */
};

typedef struct bgl_device bgl_device;
typedef struct bgl_memory bgl_memory;
typedef struct bgl_queue bgl_queue;
typedef struct bgl_event bgl_event;
typedef struct bgl_binary bgl_binary;

typedef struct bgl_description {
  uint64_t size;
  char name[64];
  char isa[64];            /* for people: "avx2" */
  char features[512];      /* what compiled code depends on; part of the key of cached binaries */
  char dialects[128];      /* separated by commas, the best first */
  int32_t vector_floats;   /* f32 lanes of a register */
  int32_t registers;       /* vector registers */
  int32_t threads;         /* programs that run at a time */
  int32_t fma;             /* 1: fma rounds once */
  int32_t f16c;            /* 1: f16 is converted by an instruction */
  int32_t host_visible;    /* 1: memory has a host pointer */
  uint64_t memory_bytes;   /* 0: unknown */
  uint64_t alignment;      /* of alloc */
} bgl_description;

/* The host's services, given to open(). */
typedef struct bgl_host {
  uint64_t size;
  uint32_t version;
  int32_t threads; /* that parallel_for uses, the caller's included */
  void* context;   /* the first argument of every service */
  /* Runs body(arg, begin, end) over disjoint pieces of [0, n), at least `grain` long, and returns when all are done. */
  void (*parallel_for)(void* context, int64_t n, int64_t grain, void (*body)(void* arg, int64_t begin, int64_t end), void* arg);
  /* level: 0 debug, 1 info, 2 warning, 3 error. */
  void (*log)(void* context, int32_t level, const char* message);
  void* (*alloc)(void* context, uint64_t bytes, uint64_t alignment); /* NULL when there is none */
  void (*free)(void* context, void* pointer);
  /* Translates tile text into another dialect for the described device. *out is released by free(). NULL: not offered. */
  bgl_status (*lower)(void* context, const char* text, uint64_t text_bytes, const char* dialect, const bgl_description* device,
                      char** out, uint64_t* out_bytes);
  /* Runs programs [begin, end) of a grid (pid0 fastest) of tile text on host memory; `error` gets one line. NULL: not offered. */
  bgl_status (*interpret)(void* context, const char* text, uint64_t text_bytes, const int64_t grid[3], int64_t begin, int64_t end,
                          const uint64_t* slots, int32_t slot_count, char* error, uint64_t error_bytes);
} bgl_host;

typedef struct bgl_device_table {
  uint64_t size;
  uint32_t version;
  const char* name;

  /* Required. */
  bgl_status (*open)(const bgl_host* host, int32_t index, bgl_device** out); /* `host` outlives the device */
  bgl_status (*close)(bgl_device* device);                                  /* all its handles are released before */
  bgl_status (*describe)(bgl_device* device, bgl_description* out);         /* out->size is set by the caller */
  const char* (*last_error)(void);                                          /* never NULL */
  bgl_status (*alloc)(bgl_device* device, uint64_t bytes, bgl_memory** out); /* not cleared; 0 bytes is allowed */
  bgl_status (*free)(bgl_memory* memory);
  uint64_t (*address)(bgl_memory* memory);   /* what a slot holds */
  void* (*host_pointer)(bgl_memory* memory); /* NULL when it is not host-visible */
  bgl_status (*copy)(bgl_queue* queue, bgl_memory* to, uint64_t to_offset, bgl_memory* from, uint64_t from_offset, uint64_t bytes);
  bgl_status (*write)(bgl_queue* queue, bgl_memory* to, uint64_t offset, const void* from, uint64_t bytes); /* `from` until done */
  bgl_status (*read)(bgl_queue* queue, void* to, bgl_memory* from, uint64_t offset, uint64_t bytes);
  bgl_status (*queue_create)(bgl_device* device, bgl_queue** out);
  bgl_status (*queue_destroy)(bgl_queue* queue); /* waits */
  bgl_status (*queue_wait)(bgl_queue* queue);    /* until all is done; tells the first failure since the last wait */
  bgl_status (*event_record)(bgl_queue* queue, bgl_event** out);
  bgl_status (*event_query)(bgl_event* event);                        /* BGL_OK or BGL_NOT_READY */
  bgl_status (*event_wait)(bgl_queue* queue, bgl_event* event);       /* the queue waits, not the caller */
  bgl_status (*event_time)(bgl_event* from, bgl_event* to, int64_t* nanoseconds); /* both have happened */
  bgl_status (*event_destroy)(bgl_event* event);
  bgl_status (*compile)(bgl_device* device, const char* dialect, const char* name, const char* text, uint64_t text_bytes,
                        bgl_binary** out);
  bgl_status (*launch)(bgl_queue* queue, bgl_binary* binary, const int64_t grid[3], const uint64_t* slots, int32_t slot_count);
  bgl_status (*binary_destroy)(bgl_binary* binary);

  /* Optional: NULL has the stated meaning. */
  bgl_status (*save)(bgl_binary* binary, void* to, uint64_t* bytes); /* to NULL: only the size. NULL: nothing is cached on disk */
  bgl_status (*load)(bgl_device* device, const char* name, const void* from, uint64_t bytes, bgl_binary** out);
  bgl_status (*import)(bgl_device* device, void* host, uint64_t bytes, bgl_memory** out); /* NULL: copies instead */
  bgl_status (*event_signal)(bgl_event* event);                                          /* NULL: the host waits instead */
  int32_t (*count)(void);                                                                /* devices of this kind; NULL: 1 */
} bgl_device_table;

/* The one exported symbol. NULL when the plugin cannot serve a host of this version. */
typedef const bgl_device_table* (*bgl_device_entry_function)(uint32_t host_version);
#define BGL_DEVICE_ENTRY "bgl_device_entry"

#ifdef __cplusplus
}
#endif

#endif
