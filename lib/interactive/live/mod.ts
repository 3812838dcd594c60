/** Puts the figure of the page "Live networks" into a page: loads weights, pictures and files. */
import { decodeIdx, fashionMnistClasses } from "../../data/internal.ts";
import { readImage } from "../../data/mod.ts";
import { subsetFile } from "../../data/fashion_mnist_files.ts";
import { foldBatchNorm } from "../../nn/mod.ts";
import { loadStateDict, readSafetensors } from "../../weights/mod.ts";
import type { PageElement, PageRoot } from "../component.ts";
import { makeKit } from "../kit.ts";
import { type LiveAnswer, SIDE } from "./answer.ts";
import { linkOf, liveComponent, type LiveData, PROBLEM, stateOf } from "./component.ts";
import { type LiveModel, type LiveName, liveNetworks } from "./networks.ts";
import { onBlack, rounded, textOf } from "./picture.ts";

export { answerOf, type LiveAnswer } from "./answer.ts";
export { liveNetworks } from "./networks.ts";

/** The number of test pictures that a reader can choose. */
const PICTURES = 60;

/** The options of {@linkcode live}. */
export interface LiveOptions {
  /** The address of the folder with the weights, ending in a slash. */
  readonly weights: string;
  /** The names of the networks whose weights are in the folder. */
  readonly networks: readonly string[];
  /** The state as text, such as the fragment of a link. */
  readonly state?: string;
  /** Called after each change, with the state as text. */
  readonly changed?: (state: string) => void;
}

/** A live figure. */
export interface Live {
  /** The state as text. */
  readonly state: string;
  /** The numbers that the network computes of the picture; undefined while it is loaded. */
  readonly answer: LiveAnswer | undefined;
  /** The heat map of Grad-CAM for the most probable class, row by row. */
  readonly heat: Float32Array | undefined;
  /** Sets the state from text. */
  set(state: string): void;
  /** Shows the picture of a file. */
  read(bytes: Uint8Array): Promise<void>;
}

/** Returns a network with the weights of an address or a path, and its accuracy in the test. */
export async function loadLive(
  name: LiveName,
  file: string,
): Promise<{ model: LiveModel; accuracy: number }> {
  const model = liveNetworks[name].build(), weights = await readSafetensors(file);
  loadStateDict(model, weights);
  // The numbers behind a unit are then those of one convolution.
  foldBatchNorm(model, [SIDE, SIDE, 1]);
  return { model, accuracy: Number(weights.metadata.testAccuracy) };
}

/**
 * Puts the figure in the place of an element's contents.
 *
 * @throws {Error} If the pictures cannot be loaded.
 */
export async function live(place: PageElement, options: LiveOptions): Promise<Live> {
  const { state: link = "", changed } = options;
  const models: Partial<Record<LiveName, Awaited<ReturnType<typeof loadLive>> | Error>> = {};
  const names = Object.keys(liveNetworks) as LiveName[];
  const loading = new Set<LiveName>();
  let state = "";
  const load = async (name: LiveName) => {
    loading.add(name);
    models[name] = await loadLive(name, `${options.weights}${name}.safetensors`)
      .catch((error: unknown) => error instanceof Error ? error : new Error(String(error)));
    command("");
  };
  const data: LiveData = {
    ...await testPictures(),
    networks: names.filter((name) => options.networks.includes(name)),
    model(name) {
      if (!loading.has(name)) void load(name);
      return models[name];
    },
    changed(text) {
      state = text;
      changed?.(text);
    },
  };
  const kit = makeKit(), component = liveComponent(kit, data, link);
  kit.mount(place, component);

  /** Tells the mounted component what happened outside of it, through a hidden input. */
  function command(value: string): void {
    for (const input of place.shadowRoot!.querySelectorAll("[data-name=command]")) {
      input.value = value;
      (input as unknown as EventTarget).dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  async function read(bytes: Uint8Array): Promise<void> {
    const image = await readImage(bytes, { size: [SIDE, SIDE], channels: 1 });
    const own = textOf(rounded(onBlack(Float32Array.from(await image.data()))));
    image.dispose();
    const before = stateOf(state, data);
    command(linkOf({ ...before, picture: -1, own, right: 0, down: 0 }));
  }

  listenForFiles(place.shadowRoot!, (bytes) => {
    read(bytes).catch((error: unknown) => {
      command(PROBLEM + (error instanceof Error ? error.message : error));
    });
  });
  return {
    get state() {
      return state;
    },
    get answer() {
      return component.answer();
    },
    get heat() {
      return component.heat();
    },
    set: command,
    read,
  };
}

/** The part of the page's events with files that is used here. */
interface FileEvent {
  readonly target: { readonly type?: string; readonly files?: Iterable<Blob> };
  readonly dataTransfer?: { readonly files: Iterable<Blob> };
  preventDefault(): void;
}

/** Calls a function with the bytes of each file that is chosen or dropped. */
function listenForFiles(
  root: PageRoot,
  found: (bytes: Uint8Array<ArrayBuffer>) => void,
): void {
  const on = (type: string, listener: (event: FileEvent) => void) =>
    root.addEventListener(type, (event) => listener(event as unknown as FileEvent));
  const take = async (files: Iterable<Blob> = []) => {
    const [file] = files;
    if (file) found(new Uint8Array(await file.arrayBuffer()));
  };
  on("change", ({ target }) => void take(target.files));
  // Without this the browser would leave the page and open the file.
  on("dragover", (event) => event.preventDefault());
  on("drop", (event) => {
    event.preventDefault();
    void take(event.dataTransfer?.files);
  });
}

/** Returns the first pictures of the test set that ships with the library. */
async function testPictures(): Promise<Pick<LiveData, "pictures" | "labels" | "classNames">> {
  const [images, labels] = await Promise.all(
    (["images-idx3", "labels-idx1"] as const).map(async (kind) => {
      const name = `t10k-${kind}-ubyte` as const;
      return decodeIdx(await subsetFile(name, {}), name).values;
    }),
  );
  return {
    pictures: Array.from(
      { length: PICTURES },
      (_, i) =>
        Float32Array.from(
          images!.subarray(i * SIDE ** 2, (i + 1) * SIDE ** 2),
          (byte) => byte / 255,
        ),
    ),
    labels: Array.from(labels!.subarray(0, PICTURES)),
    classNames: fashionMnistClasses,
  };
}
