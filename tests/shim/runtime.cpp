/* runtime.cpp: the calls of the CUDA runtime on host memory: device, allocations, copies, streams and graphs. See
 * cuda_runtime.h here. */
#include <stdio.h>
#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "cuda_runtime.h" /* after the library, whose words it takes */
#include "runtime.h"
#include "shim.h"

static int multiprocessors = 4, capability = 90, cache = 1 << 20;
static size_t memory = (size_t)4 << 30, allocated;
static cudaError_t last_error = cudaSuccess;

void nsamp_shim_set_multiprocessors(int count) {
    multiprocessors = count;
}
void nsamp_shim_set_capability(int wanted) {
    capability = wanted;
}
void nsamp_shim_set_cache(int bytes) {
    cache = bytes;
}
void nsamp_shim_set_memory(size_t bytes) {
    memory = bytes;
}
size_t nsamp_shim_allocated(void) {
    return allocated;
}
void nsamp_shim_error(cudaError_t error) {
    if (last_error == cudaSuccess) last_error = error;
}

/* ---- streams, events and graphs ------------------------------------------------------------------------ */

struct nsamp_shim_graph {
    std::vector<std::function<void()>> work;
};
struct nsamp_shim_graph_exec {
    std::vector<std::function<void()>> work;
};
/* A place in a stream that an event marks. */
typedef struct mark {
    nsamp_shim_stream *stream;
    bool passed;
} mark;
typedef struct entry {
    std::function<void()> work;
    std::shared_ptr<mark> wait; /* if any, in place of work */
} entry;
struct nsamp_shim_stream {
    nsamp_shim_graph *captured; /* what is captured now */
    std::deque<entry> pending;
};
struct nsamp_shim_event {
    std::shared_ptr<mark> last; /* NULL: not recorded yet */
};

static std::vector<nsamp_shim_stream *> streams;
static nsamp_shim_streaming streaming = NSAMP_SHIM_AT_ONCE;
static int streams_captured, events, graphs;
static uint64_t replays;

int nsamp_shim_streams(void) {
    return (int)streams.size();
}
int nsamp_shim_events(void) {
    return events;
}
int nsamp_shim_graphs(void) {
    return graphs;
}
uint64_t nsamp_shim_replays(void) {
    return replays;
}

/* The next of a stream; false: it waits for another. */
static bool one(nsamp_shim_stream *s) {
    if (s->pending.empty() || (s->pending.front().wait && !s->pending.front().wait->passed)) return false;
    const entry next = s->pending.front();
    s->pending.pop_front();
    if (!next.wait) next.work();
    return true;
}

static void run_others(const nsamp_shim_stream *s) {
    for (bool more = true; more;) {
        more = false;
        for (nsamp_shim_stream *other : streams)
            while (other != s && one(other))
                more = true;
    }
}

/* To its end, or to the mark. */
static void run(nsamp_shim_stream *s, const mark *to) {
    while (to ? !to->passed : !s->pending.empty()) {
        if (streaming == NSAMP_SHIM_AHEAD) run_others(s);
        if (!one(s)) {
            const std::shared_ptr<mark> wait = s->pending.front().wait;
            run(wait->stream, wait.get());
        }
    }
}

static void run_all(void) {
    for (nsamp_shim_stream *s : streams)
        run(s, NULL);
}

void nsamp_shim_set_streams(nsamp_shim_streaming when) {
    run_all();
    streaming = when;
}

static void append(nsamp_shim_stream *s, const entry &e) {
    s->pending.push_back(e);
    if (streaming == NSAMP_SHIM_AT_ONCE) run(s, NULL);
}

/* Work on the stream of no name waits for all others, which none that is captured can grant. */
void nsamp_shim_enqueue(cudaStream_t stream, std::function<void()> work) {
    if (stream && stream->captured) {
        stream->captured->work.push_back(work);
    } else if (stream) {
        append(stream, {work, NULL});
    } else if (streams_captured) {
        nsamp_shim_error(cudaErrorStreamCaptureUnsupported);
    } else {
        run_all();
        work();
    }
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) {
    *stream = new nsamp_shim_stream{NULL, {}};
    streams.push_back(*stream);
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    if (!stream || stream->captured) return cudaErrorInvalidValue;
    run(stream, NULL);
    streams.erase(std::find(streams.begin(), streams.end(), stream));
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    if (stream ? stream->captured != NULL : streams_captured > 0) return cudaErrorStreamCaptureUnsupported;
    if (stream)
        run(stream, NULL);
    else
        run_all();
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    *event = NULL;
    if (flags != cudaEventDisableTiming) return cudaErrorInvalidValue; /* nothing here is timed by events */
    *event = new nsamp_shim_event{NULL};
    events++;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    if (!event) return cudaErrorInvalidValue;
    delete event;
    events--;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    if (!event || !stream) return cudaErrorInvalidValue;
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    const std::shared_ptr<mark> here(new mark{stream, false});
    event->last = here;
    append(stream, {[=]() { here->passed = true; }, NULL});
    return cudaSuccess;
}
/* An event that was never recorded would hold nothing up: a mistake of the caller. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    if (!event || !stream || flags || !event->last) return cudaErrorInvalidValue;
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    append(stream, {NULL, event->last});
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    if (!event || !event->last) return cudaErrorInvalidValue;
    if (!event->last->passed) run(event->last->stream, event->last.get());
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (!stream || stream->captured) return cudaErrorInvalidValue;
    stream->captured = new nsamp_shim_graph;
    streams_captured++;
    graphs++;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    *graph = NULL;
    if (!stream || !stream->captured) return cudaErrorInvalidValue;
    *graph = stream->captured;
    stream->captured = NULL;
    streams_captured--;
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags) {
    *exec = NULL;
    if (!graph || flags) return cudaErrorInvalidValue;
    *exec = new nsamp_shim_graph_exec{graph->work};
    graphs++;
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    if (!exec || !stream) return cudaErrorInvalidValue;
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    replays++;
    const std::vector<std::function<void()>> all = exec->work;
    append(stream, {[=]() {
                        for (const std::function<void()> &work : all)
                            work();
                    },
                    NULL});
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    if (!graph) return cudaErrorInvalidValue;
    delete graph;
    graphs--;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    if (!exec) return cudaErrorInvalidValue;
    delete exec;
    graphs--;
    return cudaSuccess;
}

/* ---- the runtime --------------------------------------------------------------------------------------- */

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
    case cudaSuccess:
        return "no error";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorInvalidConfiguration:
        return "invalid configuration argument";
    case cudaErrorNoDevice:
        return "no CUDA-capable device is detected";
    case cudaErrorStreamCaptureUnsupported:
        return "operation not permitted when stream is capturing";
    default:
        return "invalid argument";
    }
}
cudaError_t cudaGetLastError(void) {
    const cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}
cudaError_t cudaDriverGetVersion(int *version) {
    *version = 13000;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int *count) {
    *count = 1;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int) {
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int) {
    *p = {};
    snprintf(p->name, sizeof p->name, "shim");
    p->major = capability / 10;
    p->minor = capability % 10;
    p->multiProcessorCount = multiprocessors;
    p->totalGlobalMem = memory;
    p->sharedMemPerBlockOptin = (size_t)227 * 1024;
    p->l2CacheSize = cache;
    return cudaSuccess;
}

/* The size of an allocation lies before it. */
enum { HEAD = 64 };
cudaError_t cudaMalloc(void **at, size_t bytes) {
    *at = NULL;
    void *base = NULL;
    if (streams_captured) return cudaErrorStreamCaptureUnsupported;
    if (bytes > memory || allocated > memory - bytes || posix_memalign(&base, HEAD, HEAD + bytes))
        return cudaErrorMemoryAllocation;
    memcpy(base, &bytes, sizeof bytes);
    memset((char *)base + HEAD, 0xff, bytes);
    allocated += bytes;
    *at = (char *)base + HEAD;
    return cudaSuccess;
}
cudaError_t cudaFree(void *at) {
    if (!at) return cudaSuccess;
    run_all();
    size_t bytes;
    memcpy(&bytes, (char *)at - HEAD, sizeof bytes);
    allocated -= bytes;
    free((char *)at - HEAD);
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void **at, size_t bytes) {
    *at = malloc(bytes);
    return *at || !bytes ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void *at) {
    run_all();
    free(at);
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
    *available = memory - allocated;
    *total = memory;
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
    nsamp_shim_enqueue(stream, [=]() { memcpy(to, from, bytes); });
    return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_row, const void *from, size_t from_row, size_t width,
                              size_t rows, cudaMemcpyKind, cudaStream_t stream) {
    if (width > to_row || width > from_row) return cudaErrorInvalidValue;
    nsamp_shim_enqueue(stream, [=]() {
        for (size_t r = 0; r < rows; r++)
            memcpy((char *)to + r * to_row, (const char *)from + r * from_row, width);
    });
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void *at, int value, size_t bytes, cudaStream_t stream) {
    nsamp_shim_enqueue(stream, [=]() { memset(at, value, bytes); });
    return cudaSuccess;
}
