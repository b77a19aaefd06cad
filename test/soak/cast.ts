import * as door from "./door.ts";
import * as misfits from "./misfits.ts";
import type { Turn } from "./visitors.ts";
import * as visitors from "./visitors.ts";

interface Part {
  name: string;
  /** How often it is played: turns, of the sum of all weights. */
  weight: number;
  turn: Turn;
}

const weights: [Record<string, Turn>, Record<string, number>][] = [
  [visitors as never, { talker: 60, commuter: 8, poller: 8, genuine: 14, genuinePoller: 5, upgrader: 8 }],
  [misfits as never, { staller: 2, silentPoller: 2, flooder: 3, returner: 3, mute: 2, boor: 5, quitter: 2 }],
  [
    door as never,
    { foreigner: 3, foreignPoller: 2, nameless: 2, numbered: 1, greedy: 1, astray: 1, genuineStranger: 1 },
  ],
];

/** All kinds of clients. */
export const cast: readonly Part[] = weights.flatMap(([turns, parts]) =>
  Object.entries(parts).map(([name, weight]) => ({ name, weight, turn: turns[name] as Turn })),
);
