/** Puts the figure of the page "Live networks" into a page: loads weights, pictures and files. */
import { decodeIdx, fashionMnistClasses } from "../../data/internal.ts";
import { readImage } from "../../data/mod.ts";
import { subsetFile } from "../../data/fashion_mnist_files.ts";
import { foldBatchNorm } from "../../nn/mod.ts";
import { loadStateDict, readSafetensors } from "../../weights/mod.ts";
import type { PageElement } from "../component.ts";
import { listenForJumps } from "../jump.ts";
import { makeKit } from "../kit.ts";
import { answerOf, heatMapOf } from "./answer.ts";
import {
  liveComponent,
  type LiveData,
  type LiveState,
  OWN,
  stateOf,
  withOwn,
} from "./component.ts";
import type { GraphFile } from "./graph_file.ts";
import { type GraphNetwork, graphNetwork } from "./graph_network.ts";
import { type Explained, GREY, type LiveAnswer, SIDE } from "./layer.ts";
import { type LiveModel, type LiveName, liveNetworks } from "./networks.ts";
import { listenForFiles } from "./page_files.ts";
import { onBlack } from "./picture.ts";

export { answerOf } from "./answer.ts";
export type { LiveAnswer } from "./layer.ts";
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
  const models: Partial<Record<string, Explained | Error>> = {};
  const names = (Object.keys(liveNetworks) as LiveName[])
    .filter((name) => options.networks.includes(name));
  const loading = new Set<string>();
  let state = "", own: GraphNetwork | undefined;
  let change = (state: LiveState): LiveState => state;
  const load = async (name: LiveName) => {
    loading.add(name);
    models[name] = await trained(name, `${options.weights}${name}.safetensors`)
      .catch((error: unknown) => error instanceof Error ? error : new Error(String(error)));
    command((state) => ({ ...state }));
  };
  const data: LiveData = {
    ...await testPictures(),
    networks: () => [
      ...names.map((name) => [name, liveNetworks[name].title] as const),
      ...own ? [[OWN, own.title] as const] : [],
    ],
    model(name) {
      if (name === OWN) return own;
      if (!loading.has(name)) void load(name as LiveName);
      return models[name];
    },
    outside: (state) => change(state),
    changed(text) {
      state = text;
      changed?.(text);
    },
  };
  const kit = makeKit(), component = liveComponent(kit, data, link);
  kit.mount(place, component);
  listenForJumps(place.shadowRoot!);

  /** Changes the state of the mounted component from outside, through a hidden input. */
  function command(next: typeof change): void {
    change = next;
    for (const input of place.shadowRoot!.querySelectorAll("[data-name=command]")) {
      (input as unknown as EventTarget).dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  const say = (notice: string) => command((state) => ({ ...state, notice }));
  const set = (text: string) => command(({ tool }) => ({ ...stateOf(text, data), tool }));

  async function read(bytes: Uint8Array): Promise<void> {
    const network = data.model(stateOf(state, data).network);
    const isOwn = network !== undefined && network === own, shape = isOwn ? own!.shape : GREY;
    const channels = shape[2] === 1 ? 1 : 3;
    const image = await readImage(bytes, { size: [shape[0], shape[1]], channels });
    const pixels = Float32Array.from(await image.data());
    image.dispose();
    // The pictures that the trained networks know are on black.
    command((state) => withOwn(state, isOwn ? pixels : onBlack(pixels), shape));
  }

  async function readNetwork(files: readonly GraphFile[], folder?: string): Promise<void> {
    say("Your network is being read and run once.");
    const title = folder === undefined ? "Your network" : `Your network (${folder})`;
    const network = await graphNetwork(files, title);
    own?.[Symbol.dispose]();
    own = network;
    command((state) => ({ ...state, network: OWN, layer: "", from: -1, notice: "" }));
  }

  listenForFiles(place.shadowRoot!, (files, isNetwork, folder) => {
    const reading = isNetwork
      ? readNetwork(files, folder)
      : files[0]?.arrayBuffer().then((bytes) => read(new Uint8Array(bytes)));
    reading?.catch((error: unknown) => {
      say(error instanceof Error ? error.message : String(error));
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
    set,
    read,
  };
}

/** Returns a trained network as the figure explains it. */
async function trained(name: LiveName, file: string): Promise<Explained> {
  const { model, accuracy } = await loadLive(name, file);
  const { title, gradCamPath } = liveNetworks[name];
  return {
    ...{ title, shape: GREY, classNames: fashionMnistClasses },
    note: "Of the 10,000 test pictures of Fashion-MNIST it classifies " +
      `${(100 * accuracy).toFixed(1)}% correctly.`,
    answer: (pixels) => answerOf(model, pixels),
    heat: (pixels, classIndex) => heatMapOf(model, gradCamPath, pixels, classIndex),
  };
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
