import { unlimited } from "./unlimited.ts";

const dist = (file: string) => import(new URL(`../../../dist/${file}`, import.meta.url).href);

/** roomcast as it ships, except that the limits per address and per connection are lifted. */
export async function roomcast(redis?: string): Promise<number> {
  const [{ build }, { readOptions }] = await Promise.all([dist("app.js"), dist("config/read.js")]);
  const app = await build(readOptions({ ...unlimited, ...(redis ? { redis } : {}) }));
  await app.listen({ port: 0, host: "127.0.0.1" });
  return app.server.address().port;
}
