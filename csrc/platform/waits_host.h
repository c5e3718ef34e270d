// The host's part of waits.h, for CUDA: the memory that a device writes to, and the thread that reads it.  That thread
// never calls the runtime: the thread that launched may hang in it, and after a trap the runtime no longer answers.
//
//     GPUKERN_WAIT_SECONDS   the bound (default 10); use more under a tool that slows kernels down (compute-sanitizer:
//                            by 10 to 100 times)
//     GPUKERN_WAIT_RECORD    a file that the reports are appended to
//
// A note that exists longer than the bound ends the process with status 86, because no instruction can end that wait.
#pragma once
#if defined(GPUKERN_BOUNDED_WAITS) && defined(__CUDACC__)
#include <cxxabi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "waits.h"

namespace gpukern::waits {

constexpr int kHung = 86;

inline double bound_seconds() {
  const char* said = std::getenv("GPUKERN_WAIT_SECONDS");
  const double seconds = said ? std::atof(said) : 0;
  return seconds > 0 ? seconds : 10;
}

struct Launched {
  std::string kernel;
  uint32_t grid[3];
};

// One per process.
struct Watch {
  Room* room = nullptr;
  std::mutex mutex;  // guards the members below
  bool said = false;
  std::set<int> armed;                                      // devices
  std::vector<void (*)(const There&, cudaStream_t)> files;  // source files with kernels; each has its own variables
  std::vector<Launched> last;
};
inline Watch& watch() {
  static Watch* const one = new Watch;  // outlives the reading thread
  return *one;
}

inline void say(const Wait& w) {
  Watch& all = watch();
  const std::lock_guard<std::mutex> lock(all.mutex);
  std::string text = "gpukern: " + text_of(w) + "\n";
  for (size_t i = all.last.size(); i-- > 0;) {
    const Launched& l = all.last[i];
    if (l.grid[0] == 0 || (l.grid[0] == w.grid[0] && l.grid[1] == w.grid[1] && l.grid[2] == w.grid[2]))
      text += "gpukern: a recent launch with that grid: " + l.kernel + "\n";
  }
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
  const char* const name = std::getenv("GPUKERN_WAIT_RECORD");
  if (FILE* const file = name ? std::fopen(name, "a") : nullptr) {
    std::fputs(text.c_str(), file);
    std::fflush(file);
    fsync(fileno(file));
    std::fclose(file);
  }
  all.said = true;
}

// Prints the record if there is a new one.
inline void look() {
  Watch& all = watch();
  if (!all.room || all.said) return;
  if (const volatile Wait& w = all.room->record; w.state == 2) say(all.room->record);
}

inline void read_for_ever() {
  using Clock = std::chrono::steady_clock;
  struct Seen {
    uint32_t ticks = 0;
    Clock::time_point since;
  };
  std::vector<Seen> seen(kNotes);
  const auto bound = std::chrono::duration<double>(bound_seconds());
  for (;; std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
    look();
    int old = 0;
    for (int i = 0; i < kNotes; ++i) {
      const volatile Wait& w = watch().room->notes[i];
      Seen& s = seen[i];
      if (w.state != 1) {
        s.since = {};
        continue;
      }
      if (const uint32_t ticks = w.ticks; s.since == Clock::time_point() || ticks != s.ticks) s = {ticks, Clock::now()};
      else if (Clock::now() - s.since > bound && ++old <= 16) say(watch().room->notes[i]);
    }
    if (old) {
      std::fprintf(stderr,
                   "gpukern: %d warps wait at barriers that the other threads have not reached; ending the process\n",
                   old);
      std::fflush(stderr);
      _exit(kHung);
    }
  }
}

// A source file with kernels that wait.  It gets the address of the room before its first launch on a device.
struct File {
  explicit File(void (*tell)(const There&, cudaStream_t)) { watch().files.push_back(tell); }
};
[[maybe_unused]] static const File this_file([](const There& t, cudaStream_t stream) {
  static_cast<void>(cudaMemcpyToSymbolAsync(on_device, &t, sizeof t, 0, cudaMemcpyHostToDevice, stream));
});

// Remembers the last eight launches; a grid of (0,0,0) is unknown.  A report prints those that may be the hung one.
inline void remember(std::string kernel, dim3 grid) {
  Watch& all = watch();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (all.last.size() == 8) all.last.erase(all.last.begin());
  all.last.push_back({std::move(kernel), {grid.x, grid.y, grid.z}});
}
inline std::string name_of(const void* kernel) {
  const char* name = nullptr;
#if CUDART_VERSION >= 12030
  if (cudaFuncGetName(&name, kernel) != cudaSuccess) name = nullptr;
#endif
  if (!name) return "a kernel";
  char* const readable = abi::__cxa_demangle(name, nullptr, nullptr, nullptr);
  const std::string text = readable ? readable : name;
  std::free(readable);
  return text;
}

// Called before each launch; on the first one on a device it allocates the room and gives its address to the kernels.
// The launch may be part of a graph capture, so this uses a stream of its own.
inline void arm() {
  Watch& all = watch();
  const std::lock_guard<std::mutex> lock(all.mutex);
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess || !all.armed.insert(device).second) return;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  static_cast<void>(cudaThreadExchangeStreamCaptureMode(&mode));
  if (!all.room) {
    // Mapped and registered, not allocated by the runtime, so that it outlives the runtime.
    void* const memory =
        mmap(nullptr, sizeof(Room), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory != MAP_FAILED &&
        cudaHostRegister(memory, sizeof(Room), cudaHostRegisterMapped | cudaHostRegisterPortable) == cudaSuccess) {
      all.room = static_cast<Room*>(memory);
      std::thread(read_for_ever).detach();
      std::atexit(look);
    } else {
      std::fputs("gpukern: the host's memory cannot be mapped; a wait that is given up leaves no record\n", stderr);
    }
  }
  There t{nullptr, static_cast<uint32_t>(bound_seconds() / kTick)};
  void* there = nullptr;
  if (all.room && cudaHostGetDevicePointer(&there, all.room, 0) == cudaSuccess) t.room = static_cast<Room*>(there);
  cudaStream_t stream = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess) {
    for (const auto tell : all.files) tell(t, stream);
    static_cast<void>(cudaStreamSynchronize(stream));
    static_cast<void>(cudaStreamDestroy(stream));
  }
  static_cast<void>(cudaGetLastError());  // from files that have no code for this device
  static_cast<void>(cudaThreadExchangeStreamCaptureMode(&mode));
}

}  // namespace gpukern::waits
#endif
