// Which of the faults that are planted in this tree is on, by number; 0: none.  Included before everything
// (switched.py).
#pragma once
extern "C" [[gnu::const]] int gpukern_fault();
