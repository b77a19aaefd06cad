/** Scrapes `/metrics`. @returns the value of each series, by its name and labels as written */
export async function scrape(url: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const series = text.split("\n").filter((line) => line && !line.startsWith("#"));
  return new Map(
    series.map((line) => {
      const end = line.lastIndexOf(" ");
      return [line.slice(0, end), Number(line.slice(end))];
    }),
  );
}
