/** The types of components: figures with controls, which compute in the page. */

/** An action of the reader on a control, or with the pointer over a view. */
export interface Action {
  /**
   * `set`: an input has a new value. `press`: a button was pressed. `down`, `move`, `up` and
   * `leave`: the pointer over a view. `key`: a key, while a view has the focus.
   */
  readonly kind: "set" | "press" | "down" | "move" | "up" | "leave" | "key";
  /** The `data-name` of the input, the `data-press` of the button or the `data-pad` of the view. */
  readonly name: string;
  /** The value of the input ("true" or "false" of a checkbox), or the key. */
  readonly value: string;
  /** The place of the pointer, in units of the view's SVG. */
  readonly x: number;
  readonly y: number;
  /** Whether a button of the pointer is pressed. */
  readonly pressed: boolean;
}

/**
 * A figure with controls, as functions of a state. It knows nothing of the page: {@linkcode Kit}
 * has the part that does.
 */
export interface Component<State> {
  /** Rules of style for its own classes. */
  readonly css: string;
  /** The state before any action. */
  readonly initial: State;
  /** The views that stand as pictures where scripts are off. Each is one SVG. */
  readonly pictures: readonly string[];
  /** Returns one sentence that describes the figure in a state. */
  describe(state: State): string;
  /**
   * Returns the frame as HTML, which stays: inputs with `data-name`, buttons with `data-press`, and
   * for each view an empty element with `data-view`. A view with `data-pad` gets the pointer, and
   * with `tabindex` the keys.
   */
  readonly layout: string;
  /** Returns the contents of the views as HTML. */
  views(state: State): Readonly<Record<string, string>>;
  /** Returns the values of the inputs. */
  values(state: State): Readonly<Record<string, string>>;
  /** Returns the state after an action; the same state if the action changes nothing. */
  act(state: State, action: Action): State;
}

/** The helpers of all components: drawing, text, and the part that works in the page. */
export interface Kit {
  /** Rules of style for the drawings of all components. */
  readonly drawingCss: string;
  /** The colours of curves, which have a contrast of at least 3.3 in light and dark themes. */
  readonly colors: readonly string[];
  /** Escapes the letters that HTML reads as markup. */
  escape(text: string): string;
  /**
   * Writes a number with at most `digits` significant digits.
   *
   * @default 3
   */
  num(value: number, digits?: number): string;
  /** Draws an SVG of a size in pixels, with a text for those who cannot see it. */
  svg(width: number, height: number, label: string, content: string): string;
  /** Writes text into a drawing; the attributes are SVG's. */
  text(x: number, y: number, text: string, attributes?: string): string;
  /** Lays out a slider and a box for the exact number, both with this name. */
  slider(name: string, label: string, options: SliderOptions): string;
  /** Lays out a choice of one of several values, each a pair of value and label. */
  choice(name: string, label: string, values: readonly (readonly [string, string])[]): string;
  /** Lays out a checkbox; the label is HTML. */
  checkbox(name: string, label: string): string;
  /** Lays out a button. */
  button(name: string, label: string): string;
  /** Returns the value of a number box, or the old number if the value is none within the ends. */
  read(value: string, old: number, low: number, high: number): number;
  /** Puts a component in the place of an element's contents. */
  mount<State>(place: PageElement, component: Component<State>): void;
}

/** Ends and steps of a {@linkcode Kit.slider}. */
export interface SliderOptions {
  readonly low: number;
  readonly high: number;
  readonly step: number;
  /** Whether the slider moves along a logarithmic scale. */
  readonly log?: boolean;
}

/** A function that makes a component from its options. */
// deno-lint-ignore no-explicit-any
export type ComponentMaker = (kit: Kit, options: any) => Component<any>;

/** The part of the page's `Element` that is used here: the library is checked without its types. */
export interface PageElement {
  readonly isConnected?: boolean;
  readonly dataset: Record<string, string | undefined>;
  readonly shadowRoot: PageRoot | null;
  attachShadow(options: { mode: "open" }): PageRoot;
  setAttribute(name: string, value: string): void;
  closest(selector: string): PageElement | null;
  querySelector(selector: string): PageElement | null;
  getBoundingClientRect(): { left: number; top: number; width: number; height: number };
  setPointerCapture?(pointer: number): void;
  scrollIntoView?(): void;
  innerHTML: string;
  value?: string;
  checked?: boolean;
  type?: string;
  readonly viewBox?: { readonly baseVal: { readonly width: number; readonly height: number } };
}

/** The part of the page's `ShadowRoot` that is used here. */
export interface PageRoot {
  innerHTML: string;
  readonly activeElement: PageElement | null;
  querySelectorAll(selector: string): Iterable<PageElement>;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
}

/** The part of the page's events that is used here. */
export interface PageEvent {
  readonly type: string;
  readonly target: PageElement;
  /** Where the pointer goes to, if it leaves an element. */
  readonly relatedTarget: PageElement | null;
  readonly clientX: number;
  readonly clientY: number;
  readonly buttons: number;
  readonly pointerId: number;
  readonly pointerType: string;
  readonly key: string;
  readonly altKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  preventDefault(): void;
}
