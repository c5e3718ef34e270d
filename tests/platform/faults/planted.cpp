// CompiledKernel without the announcements of memory: what is planted is none of a kernel's.
namespace {
int fault = -1;
}

extern "C" __attribute__((visibility("default"))) int gpukern_planted() { return fault; }
// -1: none.
extern "C" __attribute__((visibility("default"))) void gpukern_plant(int which) { fault = which; }
