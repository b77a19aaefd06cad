import type { JoinOptions, RoomName, Verdict } from "../../src/protocol.ts";
import { offsetOf, type Position, positionOf } from "../../src/rooms/position.ts";
import { Finding } from "../fuzz/target.ts";
import type { LogModel } from "./log-model.ts";

/** How often a replay may be overtaken by new messages before it may skip the rest. */
const maxOvertakings = 3;

/** Checks what a member receives of a room from when one of its connections joins it until it leaves it. */
export class Stay {
  readonly #room: RoomName;
  readonly #model: LogModel;
  /** The last logged message before {@link #run}; undefined until it is known. */
  #position: Position | undefined;
  /** What was received since the last verdict, or since the start. */
  #run: Position[] = [];
  /** What was asked for and has no verdict yet, oldest first. */
  readonly #asked: JoinOptions[];
  #isNew = true;

  constructor(room: RoomName, model: LogModel, asked: JoinOptions) {
    this.#room = room;
    this.#model = model;
    this.#asked = [asked];
  }

  /** The member joins again, to ask for a replay. */
  asks(asked: JoinOptions): void {
    this.#asked.push(asked);
  }

  receives(offset: string): void {
    this.#run.push(positionOf(offset));
  }

  concludes(asked: JoinOptions, { offset, status, missed }: Verdict, at: number): void {
    const live = this.#run.slice(0, this.#run.length - missed);
    const replayed = this.#run.slice(this.#run.length - missed);
    const head = positionOf(offset);
    const about = `${JSON.stringify(asked)} was answered ${JSON.stringify({ offset, status, missed })}`;
    if (replayed.length < missed) this.#fail(`${about} after ${replayed.length} messages`);
    if (this.#isNew && isReplay(asked) && live.length > 0)
      this.#fail(`${about} after the live message ${offsetOf(live[0] as Position)}`);
    this.#checkRun(live, this.#position);
    const last = replayed.at(-1) ?? live.at(-1) ?? this.#position;
    // The last messages may have expired during a replay, or all of them were lost, which is a gap.
    const isAhead = last && last.epoch === head.epoch && last.seq > head.seq;
    const isBehind = last && (status === "gap" ? isAhead : !isSame(last, head));
    if (isBehind) this.#fail(`${about}, but the last message was ${offsetOf(last)}`);
    if (asked.since !== undefined)
      this.#checkSince(positionOf(asked.since), status, replayed, head, at, about);
    else this.#checkLast(asked.last, status, replayed, head, at, about);
    this.#isNew = false;
    this.#asked.shift();
    this.#position = head;
    this.#run = [];
  }

  /** @param isHead whether the member must have received everything that was logged */
  ends(at: number, isHead: boolean): void {
    const [asked] = this.#asked;
    if (asked && isReplay(asked)) this.#checkCutReplay(asked, at);
    else this.#checkRun(this.#run, this.#position);
    const end = this.#run.at(-1) ?? this.#position;
    if (!isHead || !end) return;
    const head = this.#model.head(this.#room, end.epoch);
    if (end.seq < head)
      this.#fail(`the last message was ${offsetOf(end)}, but ${head} were acked or received`);
  }

  #checkSince(
    since: Position,
    status: Verdict["status"],
    replayed: Position[],
    head: Position,
    at: number,
    about: string,
  ): void {
    const isKnown = since.epoch === head.epoch && since.seq <= head.seq;
    if (status === "new") this.#fail(`${about}: an offset was given`);
    if (status === "complete") {
      if (!isKnown) this.#fail(`${about}, which is not in the log`);
      this.#checkRun(replayed, since);
      const end = since.seq + replayed.length;
      if (end !== head.seq) this.#fail(`${about}, but the messages after ${end} are missing`);
      return;
    }
    const from = isKnown ? since.seq : 0;
    if (isKnown && head.seq - from === replayed.length) this.#fail(`${about}, but nothing is missing`);
    this.#checkHoles(replayed, { ...head, seq: from }, head, at, about);
  }

  #checkLast(
    last: number | undefined,
    status: Verdict["status"],
    replayed: Position[],
    head: Position,
    at: number,
    about: string,
  ): void {
    if (last === undefined && (status !== "new" || replayed.length > 0)) this.#fail(about);
    if (last === undefined) return;
    if (status === "complete") this.#fail(`${about}: no offset was given`);
    if (status === "new") this.#checkRun(replayed, undefined);
    const first = replayed[0] ?? { ...head, seq: head.seq + 1 };
    // Messages that were logged during the replay come in addition.
    const wanted = Math.min(first.seq - 1, Math.max(0, head.seq - last));
    this.#checkHoles(replayed, { ...head, seq: wanted }, head, at, about);
  }

  /** A connection that was cut during a replay never hears the verdict. */
  #checkCutReplay(asked: JoinOptions, at: number): void {
    const cut = this.#isNew ? 0 : this.#run.findIndex((position, n) => !follows(position, this.#before(n)));
    const live = cut < 0 ? this.#run : this.#run.slice(0, cut);
    const replayed = this.#run.slice(live.length);
    this.#checkRun(live, this.#position);
    const end = replayed.at(-1);
    if (!end) return;
    const since = asked.since === undefined ? undefined : positionOf(asked.since);
    const isKnown = since?.epoch === end.epoch && since.seq <= end.seq;
    const from = isKnown ? since.seq : since ? 0 : (replayed[0] as Position).seq - 1;
    const head = { ...end, seq: this.#model.head(this.#room, end.epoch) };
    this.#checkHoles(replayed, { ...end, seq: from }, end, at, `${JSON.stringify(asked)} was cut`, head.seq);
  }

  #before(index: number): Position | undefined {
    return index > 0 ? this.#run[index - 1] : this.#position;
  }

  /** Checks that messages follow each other, and the position before them. */
  #checkRun(run: readonly Position[], before: Position | undefined): void {
    let last = before;
    for (const position of run) {
      if (last && !follows(position, last)) this.#fail(`${offsetOf(position)} came after ${offsetOf(last)}`);
      last = position;
    }
  }

  /**
   * Checks that messages are in order, and that the log may have dropped every message between `from` and `end` that is
   * not among them.
   *
   * @param head the newest message when the log was read
   */
  #checkHoles(
    run: readonly Position[],
    from: Position,
    end: Position,
    at: number,
    about: string,
    head = end.seq,
  ): void {
    let last = from;
    let holes = 0;
    for (const position of [...run, { ...end, seq: end.seq + 1 }]) {
      if (position.epoch !== last.epoch || position.seq <= last.seq)
        this.#fail(`${about}: ${offsetOf(position)} came after ${offsetOf(last)}`);
      if (position.seq > last.seq + 1) holes++;
      const mayBeSkipped = position.seq > end.seq && holes > maxOvertakings;
      for (let seq = last.seq + 1; seq < position.seq && !mayBeSkipped; seq++)
        if (!this.#model.mayHaveDropped(this.#room, { ...end, seq }, head, at))
          this.#fail(`${about}, but ${offsetOf({ ...end, seq })} is missing and was still in the log`);
      last = position;
    }
  }

  #fail(what: string): never {
    throw new Finding(`${this.#room}: ${what}`);
  }
}

const isReplay = ({ since, last }: JoinOptions): boolean => since !== undefined || last !== undefined;

const isSame = (one: Position, other: Position): boolean => offsetOf(one) === offsetOf(other);

const follows = (position: Position, before: Position | undefined): boolean =>
  !before || (position.epoch === before.epoch && position.seq === before.seq + 1);
