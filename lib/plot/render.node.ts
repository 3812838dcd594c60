/** Refuses to draw a figure as a picture, which needs a browser or the packages for Deno. */
export function renderPng(): Promise<never> {
  return Promise.reject(
    new RangeError(
      "Drawing a picture: the program must run on Deno or in a web page, found Node or Bun. " +
        "Pass the figure's data and layout to plotly.js.",
    ),
  );
}
