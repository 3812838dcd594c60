/**
 * MPI through its standard ABI (MPI 5.0, chapter 20), which fixes the name of the library, the
 * functions and all constants: any MPI with libmpi_abi works, without C.
 */
import { commandOf } from "../tensor/installation.ts";

/** The functions by which processes work together. All processes call them in the same order. */
export interface Group {
  /** The number of this process, from 0. */
  readonly rank: number;
  /** The number of processes. */
  readonly count: number;
  /** Replaces numbers by their sums over all processes: to the last bit the same on each. */
  sum(values: Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>): void;
  /** Replaces bytes by those of process 0. Their number is the same on all processes. */
  broadcast(bytes: Uint8Array<ArrayBuffer>): void;
  /** Ends the work together. Waits until all processes call it. */
  leave(): void;
}

// Constants of mpi_abi.h.
const [COMM_WORLD, SUM, IN_PLACE] = [0x101n, 0x21n, 1n];
const [FLOAT, DOUBLE, BYTE] = [0x210n, 0x214n, 0x247n];
/** Only the thread that starts MPI calls it. */
const THREAD_FUNNELED = 1024;

/** The most bytes of one broadcast: MPI counts with 32 bits. */
const LARGEST = 2 ** 30;

const FUNCTIONS = {
  MPI_Init_thread: { parameters: ["pointer", "pointer", "i32", "buffer"], result: "i32" },
  MPI_Comm_rank: { parameters: ["usize", "buffer"], result: "i32" },
  MPI_Comm_size: { parameters: ["usize", "buffer"], result: "i32" },
  MPI_Allreduce: {
    parameters: ["usize", "buffer", "i32", "usize", "usize", "usize"],
    result: "i32",
  },
  MPI_Bcast: { parameters: ["buffer", "i32", "usize", "i32", "usize"], result: "i32" },
  MPI_Finalize: { parameters: [], result: "i32" },
} as const;

/**
 * Joins the processes that a launcher has started. By MPI's default an error within MPI ends all of
 * them, so the results of its functions need no check.
 *
 * The functions block this thread: a step of a training is synchronous.
 *
 * @param library The path of libmpi_abi.
 * @throws {Error} If it is not there, or is no MPI 5.
 */
export function joinMpi(library: string): Group {
  const { symbols: mpi } = open(library);
  mpi.MPI_Init_thread(null, null, THREAD_FUNNELED, new Int32Array(1));
  const read = (of: (communicator: bigint, result: Int32Array<ArrayBuffer>) => number): number => {
    const result = new Int32Array(1);
    of(COMM_WORLD, result);
    return result[0]!;
  };
  return {
    rank: read(mpi.MPI_Comm_rank),
    count: read(mpi.MPI_Comm_size),
    sum(values) {
      const type = values instanceof Float32Array ? FLOAT : DOUBLE;
      mpi.MPI_Allreduce(IN_PLACE, values, values.length, type, SUM, COMM_WORLD);
    },
    broadcast(bytes) {
      for (let at = 0; at < bytes.length; at += LARGEST) {
        const piece = bytes.subarray(at, at + LARGEST);
        mpi.MPI_Bcast(piece, piece.length, BYTE, 0, COMM_WORLD);
      }
    },
    leave: () => void mpi.MPI_Finalize(),
  };
}

function open(library: string): Deno.DynamicLibrary<typeof FUNCTIONS> {
  try {
    return Deno.dlopen(library, FUNCTIONS);
  } catch (cause) {
    throw new Error(
      `Joining the other processes: RESNET_LAB_MPI must be the path of libmpi_abi of an MPI 5, found ${library}. ` +
        `Install it with "${commandOf("setup")} --parallel", and start the program with "${
          commandOf("parallel")
        }".`,
      { cause },
    );
  }
}
