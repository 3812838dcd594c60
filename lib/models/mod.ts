/** The networks. */
export { Lenet, lenet, type LenetActivation, type LenetOptions } from "./lenet.ts";
