#include "wild.h"

#include <pthread.h>
#include <ucontext.h>

#include "machine.h"

namespace gpukern::model {
namespace {

// The signal handler runs on the fiber that used the address.
void on_fault(int, siginfo_t* info, void* context) {
  if (!running()) {
    std::signal(SIGSEGV, SIG_DFL);
    return;
  }
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGSEGV);
  sigaddset(&set, SIGBUS);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  std::string line = "an unknown line";
#if defined(__x86_64__)
  line = line_of(reinterpret_cast<const void*>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]));
#else
  (void)context;
#endif
  fail({}, "a wild access to %p, at %s", info->si_addr, line.c_str());
}

}  // namespace

WildAccesses::WildAccesses() {
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &before_);
  sigaction(SIGBUS, &action, &before_bus_);
}
WildAccesses::~WildAccesses() {
  sigaction(SIGSEGV, &before_, nullptr);
  sigaction(SIGBUS, &before_bus_, nullptr);
}

}  // namespace gpukern::model
