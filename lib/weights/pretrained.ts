import { checkOptions } from "../tensor/mod.ts";
import { cacheFolder, download, type DownloadOptions } from "../data/mod.ts";
import { readPth } from "./pth.ts";
import type { StoredTensor } from "./stored_tensor.ts";

/** torchvision's files, those it calls `DEFAULT`; each name ends in the first digits of the file's SHA-256. */
const FILES = {
  alexnet: "alexnet-owt-7be5be79.pth",
  vgg11: "vgg11-8a719046.pth",
  vgg11_bn: "vgg11_bn-6002323d.pth",
  vgg13: "vgg13-19584684.pth",
  vgg13_bn: "vgg13_bn-abd245e5.pth",
  vgg16: "vgg16-397923af.pth",
  vgg16_bn: "vgg16_bn-6c64b313.pth",
  vgg19: "vgg19-dcbb9e9d.pth",
  vgg19_bn: "vgg19_bn-c79401a0.pth",
  googlenet: "googlenet-1378be20.pth",
  resnet18: "resnet18-f37072fd.pth",
  resnet34: "resnet34-b627a593.pth",
  resnet50: "resnet50-11ad3fa6.pth",
  resnet101: "resnet101-cd907fc2.pth",
  resnet152: "resnet152-f82ba261.pth",
} as const;

/** The networks that {@linkcode pretrained} has weights for. */
export type PretrainedName = keyof typeof FILES;

/** How {@linkcode pretrained} downloads. */
export type PretrainedOptions = Pick<DownloadOptions, "onProgress" | "signal">;

/**
 * The weights of a network that was trained on ImageNet's 1000 classes, from torchvision's public hub: downloaded once, checked against
 * the digits of the SHA-256 in the file's name, and kept in {@linkcode cacheFolder}.
 *
 * All take images in [0, 1] normalised with the means 0.485, 0.456, 0.406 and standard deviations 0.229, 0.224, 0.225, except
 * GoogLeNet, which was trained with means and standard deviations of 0.5; its file has the auxiliary heads too, so build it with
 * `auxiliary: true` or load it `{ except: ["aux1", "aux2"] }`.
 *
 * @throws {RangeError} If there is no such network.
 * @throws {Error} If the hub cannot be reached, or sends another file.
 *
 * @example
 * ```ts
 * import { loadState, pretrained, resnet50 } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * // A network with a new head for two classes; it needs the hub the first time.
 * async function catsAndDogs() {
 *   const model = resnet50({ classes: 2 });
 *   loadState(model, await pretrained("resnet50"), { except: ["fc"] });
 *   return model;
 * }
 *
 * await assert.rejects(
 *   // @ts-expect-error: there is no such network
 *   pretrained("resnet51"),
 *   /the network must be one of alexnet, .*, found resnet51/,
 * );
 * ```
 */
export async function pretrained(
  name: PretrainedName,
  options: PretrainedOptions = {},
): Promise<Map<string, StoredTensor>> {
  checkOptions<PretrainedOptions>(
    "Loading pretrained weights",
    options,
    "{ signal: AbortSignal.timeout(60_000) }",
    { onProgress: true, signal: true },
  );
  if (!Object.hasOwn(FILES, name)) {
    throw new RangeError(
      `Loading pretrained weights: the network must be one of ${
        Object.keys(FILES).join(", ")
      }, found ${name}.`,
    );
  }
  return await hubState(FILES[name], options);
}

/** The tensors of a file of the hub whose name has the first digits of its SHA-256 at the end. */
export async function hubState(
  fileName: string,
  { hub = "https://download.pytorch.org/models", ...options }: PretrainedOptions & {
    hub?: string;
  } = {},
): Promise<Map<string, StoredTensor>> {
  const file = await download(`${hub}/${fileName}`, {
    file: `${cacheFolder()}/torchvision/${fileName}`,
    sha256: /-([0-9a-f]+)\.pth$/.exec(fileName)?.[1] ?? "",
    ...options,
  });
  return await readPth(file);
}
