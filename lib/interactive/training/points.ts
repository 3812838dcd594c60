/** The points of the page "Train a network": two classes in the plane. */
import { Random } from "../../tensor/mod.ts";
import { ranges, type Settings } from "./settings.ts";

/** A point of a class, which the network is trained on or not. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly label: 0 | 1;
  readonly isHeldOut: boolean;
}

/**
 * Where a point lies without noise.
 *
 * @param u A random number from 0 to 1, and `v` another.
 * @param side 1 for the first class, −1 for the second.
 */
type Shape = (u: number, v: number, side: 1 | -1) => readonly [x: number, y: number];

/** A point at an angle in turns. */
function at(radius: number, turns: number): readonly [number, number] {
  return [radius * Math.cos(2 * Math.PI * turns), radius * Math.sin(2 * Math.PI * turns)];
}

const shapes: Readonly<Record<Settings["data"], Shape>> = {
  moons(u, _v, side) {
    const [x, y] = at(0.8, u / 2);
    return [side * (x - 0.4), side * (y - 0.2)];
  },
  circles: (u, _v, side) => at(side === 1 ? 1 : 0.4, u),
  spirals: (u, _v, side) => at(side * (0.1 + 0.95 * u), 1.25 * u),
  xor(u, v, side) {
    const x = 2 * u - 1;
    return [x, x > 0 ? side * v : -side * v];
  },
  clouds(u, v, side) {
    const [x, y] = at(0.45 * Math.sqrt(u), v);
    return [x + 0.55 * side, y + 0.55 * side];
  },
};

/**
 * Returns the points, of both classes in turn; the last are held out. More points, or other noise,
 * keep the places of the others.
 */
export function pointsOf({ data, points, noise, heldOut, dataSeed }: Settings): Point[] {
  // The initial weights of an equal seed are drawn from another stream.
  const random = new Random(-dataSeed), shape = [ranges.points.high, 2];
  const drawn = random.uniform(shape), moved = random.normal(shape);
  const places = drawn.dataSync(), noises = moved.dataSync();
  drawn.dispose();
  moved.dispose();
  const trained = points - Math.round(points * heldOut / 100);
  return Array.from({ length: points }, (_, i) => {
    const [x, y] = shapes[data](places[2 * i]!, places[2 * i + 1]!, i % 2 === 0 ? 1 : -1);
    return {
      x: x + noise * noises[2 * i]!,
      y: y + noise * noises[2 * i + 1]!,
      label: i % 2 === 0 ? 0 : 1,
      isHeldOut: i >= trained,
    };
  });
}
