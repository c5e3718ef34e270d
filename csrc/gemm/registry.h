// The arch folders, best first.  A new one is a folder and a line here: selection, explain() and the tests read the
// list.
#pragma once
#include <string_view>

#include "arch/host/tiles.h"
#include "arch/mma_sync/tiles.h"
#include "arch/simt/tiles.h"
#include "arch/skinny/tiles.h"
#include "arch/wgmma/tiles.h"
#include "problem.h"

namespace gpukern::gemm {

#define GPUKERN_GEMM_GPU_FOLDERS(F) F(skinny) F(wgmma) F(mma_sync) F(simt)
#define GPUKERN_GEMM_FOLDERS(F) GPUKERN_GEMM_GPU_FOLDERS(F) F(host)

// The interface of a folder's tiles.h.
struct Folder {
  const char* name;
  const Configuration* configurations;
  int count;
  Reason (*serves)(const Device&);
  Reason (*supports)(const Problem&, const Device&);
  Reason (*yields)(const Problem&, const Device&);  // why a later folder is faster with what this one could serve
  Reason (*refuses)(const Configuration&, const Problem&, const Device&);
  double (*cost)(const Configuration&, const Problem&, const Device&);  // modelled cycles
  int (*splits)(const Configuration&, const Problem&, const Device&);   // ranges of k, each for blocks of its own
  bool (*inside)(const Configuration&, const Problem&, int splits,
                 int sms);                    // the kernel adds them up: they need no room
  int64_t (*workspace)(const Problem&);       // bytes that a launch needs beside what ranges of k take
  bool (*separate_epilogue)(const Problem&);  // split/ runs the epilogue, even for one range of k
  // Rows of D in a part of its columns' sums, if the folder's kernels run the epilogue; 0: they never sum columns.
  int (*part_rows)(const Configuration&, const Problem&);
  Traits (*traits)(const Configuration&);
};

#define GPUKERN_FOLDER(f)                                                                                            \
  Folder{f::kName, f::kConfigurations, f::kCount,  &f::serves,    &f::supports,          &f::yields,    &f::refuses, \
         &f::cost, &f::splits,         &f::inside, &f::workspace, &f::separate_epilogue, &f::part_rows, &f::traits},
inline constexpr Folder kFolders[] = {GPUKERN_GEMM_FOLDERS(GPUKERN_FOLDER)};
#undef GPUKERN_FOLDER
constexpr int kFolderCount = sizeof(kFolders) / sizeof(Folder);
constexpr int kMaxConfigurations = 64;

constexpr bool tables_fit() {
  for (const Folder& f : kFolders)
    if (f.count > kMaxConfigurations) return false;
  return true;
}
static_assert(tables_fit(), "raise kMaxConfigurations");

constexpr int folder_index(std::string_view name) {
  for (int i = 0; i < kFolderCount; ++i)
    if (name == kFolders[i].name) return i;
  return -1;
}
constexpr int kHost = folder_index("host");

}  // namespace gpukern::gemm
