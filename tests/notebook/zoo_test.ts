import assert from "node:assert/strict";
import { addToZoo } from "resnet-lab";

const network = {
  network: "a network that no notebook has",
  notebook: 99,
  accuracies: [0.88, 0.89, 0.9],
  parameters: 1000,
  macs: 2_000_000,
  images: 600,
  epochs: 5,
};

Deno.test("addToZoo() puts a network last, with its interval, and stores nothing without RESNET_LAB_WRITE", () => {
  const file = new URL("../../data/zoo.json", import.meta.url);
  const before = read(file);
  const { networks, rows, chart, parameterChart } = addToZoo(network);
  assert.deepEqual(rows.at(-1), {
    network: network.network,
    notebook: 99,
    "test accuracy": "89.00 ± 2.48 %", // As in the example of meanAndInterval().
    seeds: 3,
    parameters: 1000,
    MACs: 2_000_000,
    "images × epochs": "600 × 5",
  });
  const { mean, halfWidth, macs } = networks.at(-1)!;
  assert.deepEqual([mean, halfWidth, macs].map((number) => number.toFixed(2)), [
    "89.00",
    "2.48",
    "2000000.00",
  ]);
  const point = chart.data.find(({ name }) => name === network.network)!;
  assert.deepEqual([point.x, point.y], [[2], [89]]);
  const bySize = parameterChart.data.find(({ name }) => name === network.network)!;
  assert.deepEqual([bySize.x, bySize.y], [[1000], [89]]);
  assert.equal(read(file), before);
});

Deno.test("addToZoo() leaves out later notebooks, and includes earlier networks of this one", () => {
  addToZoo({ ...network, notebook: 1, network: "first" });
  const { rows } = addToZoo({ ...network, notebook: 1, network: "second" });
  assert.deepEqual(rows.map((row) => row.network), ["first", "second"]);
});

Deno.test("addToZoo() keeps the machine of accuracies that are in the file", () => {
  const file = new URL("../../data/zoo.json", import.meta.url);
  const [{ machine, scale: _, ...stored }] = JSON.parse(Deno.readTextFileSync(file));
  const machineOf = (accuracies: readonly number[]) =>
    addToZoo({ ...stored, accuracies })
      .networks.find(({ network }) => network === stored.network)!.machine;
  assert.equal(machineOf(stored.accuracies), machine);
  assert.match(machineOf([0.1, 0.2]), /^\d+ × /);
});

Deno.test("addToZoo() refuses unknown properties and values of another kind", () => {
  const cases: [object, RegExp][] = [
    [{ epoch: 5 }, /there is no option epoch\. Did you mean epochs\?/],
    [{ accuracies: [0.9] }, /the number of accuracies must be at least 2, found 1/],
    [{ accuracies: 0.9 }, /accuracies must be an array, found 0\.9/],
    [{ accuracies: [0.9, 91.2] }, /accuracies\[1\] must be a number from 0 to 1, found 91\.2/],
    [{ accuracies: [NaN, 0.9] }, /accuracies\[0\] must be .*, found NaN/],
    [{ images: "600" }, /images must be a whole number of at least 1, found "600"/],
    [{ macs: undefined }, /macs must be a whole number of at least 1, found undefined/],
    [{ parameters: -1 }, /parameters must be a whole number of at least 1, found -1/],
    [{ network: 5 }, /network must be a string, found 5/],
  ];
  for (const [change, message] of cases) {
    assert.throws(() => addToZoo({ ...network, ...change }), (error: Error) => {
      assert(error instanceof TypeError || error instanceof RangeError);
      assert.match(error.message, message);
      assert.match(error.message, /^Adding to the zoo: /);
      return true;
    });
  }
});

function read(file: URL): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    return undefined;
  }
}

Deno.test("addToZoo() gives the networks of a notebook one colour, and others another", () => {
  addToZoo({ ...network, notebook: 2, network: "plain" });
  const { networks, chart } = addToZoo({ ...network, notebook: 2, network: "with batch norm" });
  const [other, plain, normalized] = networks.slice(-3).map(({ color }) => color);
  assert.equal(plain, normalized);
  assert.notEqual(plain, other);
  const [circle, diamond] = chart.data.slice(-2).map(({ marker }) => marker);
  assert.equal(circle?.color, diamond?.color);
  assert.notEqual(circle?.symbol, diamond?.symbol);
});
