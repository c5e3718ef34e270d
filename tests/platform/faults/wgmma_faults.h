// What is planted in wgmma_product.h, one at a time.  (name, blocks of a cluster in which it shows)
#pragma once

#define GPUKERN_FAULTS(DO)                                                        \
  DO(none, 1)                                                                     \
  DO(ring_not_aligned, 1)              /* the ring starts 128 bytes too late */   \
  DO(barriers_overlap_ring, 1)         /* .. in its last stage */                 \
  DO(empty_count_one, 1)               /* two consumers arrive */                 \
  DO(no_sync_after_init, 1)            /* others use barriers at once */          \
  DO(producer_skips_empty, 1)          /* overwrites what is read */              \
  DO(producer_parity, 1)               /* waits for a phase that never ends */    \
  DO(expect_too_small, 1)              /* the bytes of A only */                  \
  DO(expect_too_large, 1)              /* 16 bytes that never come */             \
  DO(consumer_skips_full, 1)           /* reads before data is there */           \
  DO(consumer_parity_constant, 1)      /* always 0 */                             \
  DO(no_wgmma_fence, 1)                /* before the first wgmma */               \
  DO(k_advance, 1)                     /* 64 bytes a step */                      \
  DO(a_stride, 1)                      /* of A's descriptor, 512 */               \
  DO(released_before_wait, 1)          /* the stage that is being read */         \
  DO(accumulators_before_wait, 1)      /* no wait after the last product */       \
  DO(never_released, 1)                /* consumers do not arrive */              \
  DO(fragment_swapped, 1)              /* rows and columns of D */                \
  DO(store_unguarded, 1)               /* the store's map says more rows */       \
  DO(load_not_swizzled, 1)             /* the load map of A */                    \
  DO(shared_too_small, 1)              /* 1024 bytes too few */                   \
  DO(remote_arrive_missing, 2)         /* only the own block's barrier */         \
  DO(remote_arrive_not_mapped, 2)      /* the own block's twice */                \
  DO(multicast_to_itself, 2)           /* the mask leaves the peer out */         \
  DO(multicast_to_peer, 2)             /* the mask leaves itself out */           \
  DO(multicast_too_wide, 2)            /* the mask names a third block */         \
  DO(multicast_same_half, 2)           /* both load the first half of B */        \
  DO(multicast_other_place, 2)         /* halves of B exchanged */                \
  DO(expect_half, 2)                   /* what this block asked for, not gets */  \
  DO(empty_count_forgets_peer, 2)      /* 2, and 4 arrive */                      \
  DO(empty_count_of_single_block, 2)   /* remote arrivals are not waited for */   \
  DO(drain_missing, 2)                 /* before the producer exits */            \
  DO(cluster_sync_missing, 2)          /* syncthreads instead */                  \
  DO(cluster_wait_missing, 2)          /* arrives, does not wait */               \
  DO(no_fence_mbarrier_init, 2)        /* .. */                                   \
  DO(no_fence_mbarrier_init_single, 1) /* the copy engine needs it too */         \
  DO(store_read_wait_missing, 1)       /* before staging is written again */      \
  DO(store_read_wait_one, 1)           /* wait_group.read 1 */                    \
  DO(store_wait_by_another, 1)         /* a thread that stored nothing */         \
  DO(store_wait_at_exit_missing, 1)    /* .. */                                   \
  DO(store_commit_missing, 1)          /* so that a wait waits for nothing */     \
  DO(store_fence_missing, 1)           /* fence.proxy.async */                    \
  DO(store_fence_by_one, 1)            /* by the thread that stores, too early */ \
  DO(store_barrier_missing, 1)         /* of the warpgroup, before the store */   \
  DO(staging_barrier_missing, 1)       /* after the wait, before writing */       \
  DO(store_not_swizzled, 1)            /* the store map */                        \
  DO(staging_not_swizzled, 1)          /* the threads' writes */                  \
  DO(staging_shared, 1)                /* both warpgroups write to one place */   \
  DO(stored_by_every_warp, 1)          /* four times */                           \
  DO(scale_d_never_zero, 1)            /* adds to what registers hold */          \
  DO(scale_d_always_zero, 1)           /* forgets all but the last step */        \
  DO(scale_d_first_tile_only, 1)       /* the second tile adds to the first */    \
  DO(b_stride, 1)                      /* of B's descriptor, 2048 */              \
  DO(descriptor_not_swizzled, 1)       /* of A */                                 \
  DO(descriptor_other_swizzle, 1)      /* 64 */                                   \
  DO(descriptor_by_warp, 1)            /* differs within the warpgroup */         \
  DO(stage_of_before, 1)               /* B of another stage than A */            \
  DO(second_consumer_skips_full, 1)    /* relies on the first */                  \
  DO(one_warp_skips_full, 1)           /* relies on its neighbours */             \
  DO(one_warp_skips_wgmma, 1)          /* less than a warpgroup */                \
  DO(wait_two, 1)                      /* wait_group 2, releases the stage */     \
  DO(commit_missing, 1)                /* .. */                                   \
  DO(accumulators_touched, 1)          /* between commit and wait */              \
  DO(parity_of_second_round, 1)        /* flips every second time */              \
  DO(parity_starts_anew, 1)            /* at each tile, as the stages do not */   \
  DO(parity_not_reduced, 1)            /* 2, 3 .. */                              \
  DO(full_count_two, 1)                /* one producer arrives */                 \
  DO(full_by_whole_warp, 1)            /* 32 lanes arrive */                      \
  DO(released_by_every_thread, 1)      /* 256 arrivals, count 2 */                \
  DO(registers_too_many, 1)            /* 240 */                                  \
  DO(registers_by_one_warp, 1)         /* setmaxnreg outside the warpgroup */     \
  DO(registers_not_given, 1)           /* consumers wait for ever */              \
  DO(named_barrier_of_both, 1)         /* for 256 threads, at one id */           \
  DO(named_barrier_shared, 1)          /* one id for both warpgroups */           \
  DO(coordinates_exchanged, 1)         /* of A */                                 \
  DO(last_step_missing, 1)             /* k rounded down */                       \
  DO(load_at_other_rank, 1)            /* three coordinates for a matrix */       \
  DO(box_too_wide, 1)                  /* the load map: a row over the swizzle */ \
  DO(map_stride_odd, 1)                /* a row stride that is not 16 bytes */    \
  DO(staging_misaligned, 1)            /* 64 bytes late */                        \
  DO(barrier_misaligned, 1)            /* at a multiple of 4 */                   \
  DO(none_by_registers, 1)             /* A through registers, correct */         \
  DO(a_registers_swapped, 1)           /* 1 and 2 */                              \
  DO(a_registers_not_fenced, 1)        /* loaded behind the fence */              \
  DO(a_registers_overwritten, 1)       /* while the product is under way */       \
  DO(a_released_by_one, 1)             /* others may not have loaded yet */

namespace gpukern::faults {
enum class Fault {
#define GPUKERN_FAULT(name, cluster) name,
  GPUKERN_FAULTS(GPUKERN_FAULT)
#undef GPUKERN_FAULT
};
}  // namespace gpukern::faults
