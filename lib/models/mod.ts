/** The networks. */
export { Lenet, lenet, type LenetOptions } from "./lenet.ts";
