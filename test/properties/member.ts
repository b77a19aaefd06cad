import { setTimeout as sleep } from "node:timers/promises";
import type { ErrorCode } from "../../src/errors.ts";
import type { JoinOptions, RoomName } from "../../src/protocol.ts";
import { Random } from "../support/random.ts";
import { type MemberPlan, type PlannedMessage, requestOf, type Step } from "./plan.ts";
import { RoomMember, type RoomMemberOptions } from "./room-member.ts";

export interface MemberOptions extends Pick<RoomMemberOptions, "link" | "open" | "journal" | "failed"> {
  plan: MemberPlan;
  seed: number;
}

/** A member that carries out its plan. */
export class Member extends RoomMember {
  readonly #plan: MemberPlan;
  readonly #random: Random;
  readonly #sayings = new Set<Promise<void>>();

  constructor({ plan, seed, ...options }: MemberOptions) {
    const random = new Random(seed);
    super({ ...options, name: plan.name, isSteady: plan.isSteady, random });
    this.#plan = plan;
    this.#random = random;
  }

  async carryOut(): Promise<void> {
    for (const step of this.#plan.steps) await this.#take(step);
    this.link.calm();
    // A saying of the last steps may wait for a room that the member returns to.
    while (this.#sayings.size > 0) await Promise.all(this.#sayings);
  }

  protected override asksInHandshake(): { rooms: RoomName[]; last: number | undefined } {
    const rooms = this.#random.chance(this.#plan.handshakeShare) ? [...this.rooms] : [];
    const last = this.#random.chance(0.3) ? this.#random.between(0, 10) : undefined;
    return { rooms, last };
  }

  protected override expects(code: ErrorCode): "give up" | undefined {
    return code === "not_in_room" || code === "closing" ? "give up" : undefined;
  }

  async #take(step: Step): Promise<void> {
    const { link } = this;
    if (step.do !== "say") await this.online;
    if (step.do === "pause") await sleep(step.ms);
    else if (step.do === "say") for (const saying of step.sayings) this.#say(saying);
    else if (step.do === "join") await this.join(step.room, this.#joinOptions(step));
    else if (step.do === "leave") await this.leave(step.room);
    else if (step.do === "stall") {
      link.stall();
      await sleep(step.ms);
      link.calm();
    } else if (step.do === "cut") {
      if (step.again) link.cut();
      link.cutAfter(step.direction, step.bytes);
    } else this.peer[step.do]();
  }

  #joinOptions({ room, how, last }: Step & { do: "join" }): JoinOptions | undefined {
    const seen = this.entries.flatMap((entry) =>
      entry.what === "message" && entry.room === room ? [entry.message.offset] : [],
    );
    if (how === "last") return { last };
    const [epoch = ""] = (this.cursors.get(room) ?? "unknown").split(":");
    if (how === "wrong") return { since: this.#random.pick(["other:5", `${epoch}:999999`]) };
    return how === "again" && seen.length > 0 ? { since: this.#random.pick(seen) } : undefined;
  }

  #say(planned: PlannedMessage): void {
    const token = this.newToken();
    const { hasId, isTwice } = planned;
    const [event, ...args] = requestOf(planned, token);
    for (let n = isTwice && hasId ? 2 : 1; n > 0; n--) {
      const said = this.deliver({ token, event, args, hasId });
      this.#sayings.add(said);
      void said.finally(() => this.#sayings.delete(said));
    }
  }
}
