import type { DownloadOptions } from "../data/mod.ts";
import { cacheFolder, download } from "../data/internal.ts";
import { checkOneOf, checkOptions } from "../tensor/internal.ts";
import { readPth } from "./pth.ts";
import type { StoredTensor } from "./stored_tensor.ts";

/** The networks that {@linkcode pretrained} has weights for. */
export type PretrainedName =
  | "alexnet"
  | "vgg11"
  | "vgg11_bn"
  | "vgg13"
  | "vgg13_bn"
  | "vgg16"
  | "vgg16_bn"
  | "vgg19"
  | "vgg19_bn"
  | "googlenet"
  | "resnet18"
  | "resnet34"
  | "resnet50"
  | "resnet101"
  | "resnet152";

/**
 * torchvision's files, which it calls `DEFAULT`, with their SHA-256 and their size in MiB.
 *
 * torchvision publishes only the first eight digits of the SHA-256, in the file names, and the size
 * with three decimals. The full digests are those that at least two independent public projects
 * use; all begin with torchvision's eight digits. For vgg11, vgg11_bn, vgg13, vgg13_bn and
 * resnet152 fewer than two projects were found, so only eight digits are checked.
 */
const FILES: Readonly<
  Record<PretrainedName, readonly [file: string, sha256: string, mib: number]>
> = {
  alexnet: [
    "alexnet-owt-7be5be79.pth",
    "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    233.087,
  ],
  vgg11: ["vgg11-8a719046.pth", "8a719046", 506.84],
  vgg11_bn: ["vgg11_bn-6002323d.pth", "6002323d", 506.881],
  vgg13: ["vgg13-19584684.pth", "19584684", 507.545],
  vgg13_bn: ["vgg13_bn-abd245e5.pth", "abd245e5", 507.59],
  vgg16: [
    "vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    527.796,
  ],
  vgg16_bn: [
    "vgg16_bn-6c64b313.pth",
    "6c64b3138f2f4fcb3bcc4cafde11619c4f440eb1631787e93a682fd88305888a",
    527.866,
  ],
  vgg19: [
    "vgg19-dcbb9e9d.pth",
    "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    548.051,
  ],
  vgg19_bn: [
    "vgg19_bn-c79401a0.pth",
    "c79401a0cf3cb42714e4182f5868c7a6f4f4534f5df9e956e2bb2098de41cbb6",
    548.143,
  ],
  googlenet: [
    "googlenet-1378be20.pth",
    "1378be20a8e875cf1568b8a71654e704449655e34711a959a38b04fb34905cef",
    49.731,
  ],
  resnet18: [
    "resnet18-f37072fd.pth",
    "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    44.661,
  ],
  resnet34: [
    "resnet34-b627a593.pth",
    "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    83.275,
  ],
  resnet50: [
    "resnet50-11ad3fa6.pth",
    "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    97.79,
  ],
  resnet101: [
    "resnet101-cd907fc2.pth",
    "cd907fc2a0de2292b2ba2b27d2216bc672d84632d1cf20058d01c0c03b5e020e",
    170.53,
  ],
  resnet152: ["resnet152-f82ba261.pth", "f82ba261", 230.474],
};

/** The options of {@linkcode pretrained}. */
export type PretrainedOptions = Pick<DownloadOptions, "onProgress" | "signal">;

/**
 * Returns the state dict of a network that was trained on ImageNet's 1000 classes. It comes from
 * torchvision's public hub, is checked against its SHA-256, and is stored in the cache folder: the
 * environment variable `RESNET_LAB_CACHE`, else the platform's. (For vgg11, vgg11_bn, vgg13,
 * vgg13_bn and resnet152 only the first eight digits of the SHA-256 are checked.)
 *
 * The images must be in [0, 1] and normalised with the means 0.485, 0.456, 0.406 and the standard
 * deviations 0.229, 0.224, 0.225. GoogLeNet was trained with means and standard deviations of 0.5.
 * Its state dict includes the auxiliary heads: build the network with `auxiliary: true`, or load
 * with `{ except: ["aux1", "aux2"] }`.
 *
 * @throws {TypeError} If the name is not a string, or an option does not exist or is of the wrong
 * kind.
 * @throws {RangeError} If there is no such network.
 * @throws {Error} If the hub cannot be reached, or sends a file with a different SHA-256.
 *
 * @example
 * ```ts
 * import { loadStateDict, pretrained, resnet50 } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * // A network with a new head for two classes. The first call downloads the weights.
 * async function catsAndDogs() {
 *   const model = resnet50({ classes: 2 });
 *   loadStateDict(model, await pretrained("resnet50"), { except: ["fc"] });
 *   return model;
 * }
 *
 * await assert.rejects(
 *   // @ts-expect-error: there is no such network
 *   pretrained("resnet51"),
 *   /the network must be one of "alexnet", .*, found "resnet51"/,
 * );
 * ```
 */
export async function pretrained(
  name: PretrainedName,
  options: PretrainedOptions = {},
): Promise<Map<string, StoredTensor>> {
  const action = "Loading pretrained weights";
  checkOneOf(action, "the network", name, Object.keys(FILES));
  checkOptions<PretrainedOptions>(action, options, "{ signal }", {
    onProgress: true,
    signal: true,
  });
  const [file, sha256, mib] = FILES[name];
  // The table's sizes are rounded to thousandths of a MiB.
  const maxBytes = Math.ceil((mib + 0.0005) * 2 ** 20);
  return await readFromHub(file, { ...options, sha256, maxBytes });
}

/** Downloads and reads a file of the hub. Its name ends in the first digits of its SHA-256. */
export async function readFromHub(
  fileName: string,
  {
    hub = "https://download.pytorch.org/models",
    sha256 = /-([0-9a-f]+)\.pth$/.exec(fileName)?.[1] ?? "",
    ...options
  }: PretrainedOptions & Partial<Pick<DownloadOptions, "sha256" | "maxBytes">> & {
    hub?: string;
  } = {},
): Promise<Map<string, StoredTensor>> {
  const file = await download(`${hub}/${fileName}`, {
    file: `${cacheFolder()}/torchvision/${fileName}`,
    sha256,
    ...options,
  });
  return await readPth(file);
}
