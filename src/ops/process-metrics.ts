import { cpuUsage, memoryUsage } from "node:process";
import { Counter, Gauge, type Registry } from "prom-client";

/** Registers the metrics of the process, under the names that Prometheus clients have in common. */
export function registerProcess(registry: Registry): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  gauge("process_resident_memory_bytes", "Resident memory", () => memoryUsage.rss());
  gauge("nodejs_heap_size_used_bytes", "Heap in use", () => memoryUsage().heapUsed);
  gauge("nodejs_external_memory_bytes", "Memory of buffers outside the heap", () => memoryUsage().external);
  gauge(
    "process_start_time_seconds",
    "Start time since the Unix epoch",
    () => performance.timeOrigin / 1_000,
  );
  new Counter({
    name: "process_cpu_seconds_total",
    help: "User and system CPU time",
    registers,
    collect() {
      const { user, system } = cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
}
