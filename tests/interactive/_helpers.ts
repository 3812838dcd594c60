/** Helpers for tests of interactive figures. */
import type { Action, Component, Kit } from "../../lib/interactive/component.ts";
import { makeKit } from "../../lib/interactive/kit.ts";

/**
 * Makes a component from the text of its function, as a page does: a name that stands outside of
 * the function does not exist.
 */
export function fromText<Options, Made>(
  maker: (kit: Kit, options: Options) => Made,
  options: Options,
): Made {
  const asInPage = (text: string) => new Function(`"use strict"; return (${text});`)();
  return asInPage(String(maker))(asInPage(String(makeKit))(), options);
}

/** Returns the state after the inputs with these names were set, from an earlier state. */
export function after<State>(
  component: Component<State>,
  values: Readonly<Record<string, string>>,
  state: State = component.initial,
): State {
  return Object.entries(values).reduce(
    (state, [name, value]) => component.act(state, action({ kind: "set", name, value })),
    state,
  );
}

/** Makes an action. */
export function action(action: Partial<Action> & Pick<Action, "kind" | "name">): Action {
  return { value: "", x: 0, y: 0, pressed: false, ...action };
}
