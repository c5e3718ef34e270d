// What sm_90 adds to the words of device code, executed by the model.  The same words as ../hopper.h.
#pragma once
#include "cluster.h"
#include "control.h"
#include "mbarrier.h"
#include "tma.h"
#include "wgmma.h"
