/** Reads files of weights in a web page, where a path is an address. */
export { fetchBytes as readFile } from "../data/fetch_bytes.ts";
