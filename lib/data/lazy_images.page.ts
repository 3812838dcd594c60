/** Images that stay in their files, in a web page, which has no folders. */
export class LazyImageDataset {
  constructor({ name }: { readonly name: string }) {
    throw new RangeError(
      `Reading "${name}": lazy must be left out in a web page, which has no folders, found true. ` +
        "Pass fit() an object { name, count, batch } that reads its pictures with readImage().",
    );
  }
}
