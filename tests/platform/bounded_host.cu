// The host's part of the build whose waits end, as a program that needs no device (test_waits.py): what a device would
// have written is written here.
#include <cstring>

#include "platform/waits_host.h"

using namespace gpukern::waits;

int main(int, char** arguments) {
  static Room room{};
  watch().room = &room;
  remember("earlier<1>", dim3(1));
  remember("product<2>", dim3(132));
  const Wait wait = {1, Word::cluster_barrier, 0, 0, {5, 0, 0}, {132, 1, 1}, 256, 384, 9};
  if (std::strcmp(arguments[1], "record") == 0) {
    room.record = wait;
    look();  // not whole yet
    room.record.word = Word::mbarrier;
    room.record.barrier = 0x38010, room.record.detail = 1;
    room.record.ticks = static_cast<uint32_t>(10 / kTick);
    room.record.state = 2;
    look();
    look();  // once is enough
    return 0;
  }
  room.notes[77] = wait;
  read_for_ever();
}
