/** Okabe and Ito's colours, which colour-blind readers can tell apart. */
export const colors = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#666666",
] as const;
