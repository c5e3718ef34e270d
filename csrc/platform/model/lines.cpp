// Source lines of code addresses, from the debug information of the library.
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "machine.h"

namespace gpukern::model {

std::string line_of(const void* address) {
  // On the heap: see Kept in memory.cpp.
  static thread_local const std::unique_ptr<std::map<const void*, std::string>> own(
      new std::map<const void*, std::string>);
  std::map<const void*, std::string>& known = *own;
  const auto at = known.find(address);
  if (at != known.end()) return at->second;
  std::string found = "an unknown line";
  Dl_info info;
  if (dladdr(address, &info) && info.dli_fname) {
    // A return address lies behind its call.
    const auto offset = static_cast<const char*>(address) - static_cast<const char*>(info.dli_fbase) - 1;
    char command[1024];
    std::snprintf(command, sizeof command, "addr2line -i -e '%s' %#tx 2>/dev/null", info.dli_fname, offset);
    if (FILE* const pipe = popen(command, "r")) {
      char line[512];
      while (std::fgets(line, sizeof line, pipe)) {
        line[std::strcspn(line, " \n")] = 0;
        const char* const slash = std::strrchr(line, '/');
        if (found == "an unknown line" || std::strstr(found.c_str(), "model/")) found = line;
        if (std::strstr(line, "platform/model/")) continue;
        found = slash ? slash + 1 : line;
        break;
      }
      pclose(pipe);
    }
  }
  return known[address] = found;
}

}  // namespace gpukern::model
