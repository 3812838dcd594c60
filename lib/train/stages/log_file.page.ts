/** A log file in a web page, which has no files, or in Node. */
export class LogFile implements Disposable {
  constructor(path: string) {
    throw new RangeError(
      `Writing ${path}: a log must be left out in a web page and in Node, found a file. ` +
        "Read the progress in a loop over the training.",
    );
  }

  content(): Uint8Array {
    return new Uint8Array();
  }

  add(_bytes: Uint8Array, _isRestored: boolean | undefined): void {}

  [Symbol.dispose](): void {}
}
