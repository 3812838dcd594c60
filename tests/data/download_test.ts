import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { download } from "../../lib/data/download.ts";

/** Large enough to arrive in several pieces. */
const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) >> 5);
const sha256 = createHash("sha256").update(content).digest("hex");

type Handler = (request: Request, number: number) => Response | Promise<Response>;

/** Runs `test` with a server on this machine and an empty folder; gives the `range` header of every request that came. */
async function withServer(
  handler: Handler,
  test: (url: string, file: string) => Promise<void>,
): Promise<(string | null)[]> {
  const ranges: (string | null)[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    ranges.push(request.headers.get("range"));
    return handler(request, ranges.length);
  });
  const folder = await Deno.makeTempDir();
  try {
    await test(`http://127.0.0.1:${server.addr.port}/data.bin`, `${folder}/deep/data.bin`);
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
  return ranges;
}

const whole: Handler = () => new Response(content);

/** A server that knows ranges. */
const ranged: Handler = (request) => {
  const start = request.headers.get("range")?.match(/^bytes=(\d+)-$/)?.[1];
  if (start === undefined) return new Response(content);
  if (Number(start) >= content.length) return new Response(null, { status: 416 });
  return new Response(content.subarray(Number(start)), { status: 206 });
};

/** Sends the first bytes of what `handler` would, announces all of them, and breaks the connection. */
const dropsAfter = (bytes: number, handler: Handler): Handler => async (request, number) => {
  const response = await handler(request, number);
  const body = new Uint8Array(await response.arrayBuffer());
  return new Response(new Blob([body.subarray(0, bytes)]).stream(), {
    status: response.status,
    headers: { "content-length": String(body.length) },
  });
};

async function filesBeside(file: string): Promise<string[]> {
  const folder = file.slice(0, file.lastIndexOf("/"));
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

async function assertComplete(file: string): Promise<void> {
  assert.deepEqual(await filesBeside(file), ["data.bin"]);
  assert.equal(createHash("sha256").update(await Deno.readFile(file)).digest("hex"), sha256);
}

async function writePart(file: string, bytes: Uint8Array): Promise<void> {
  await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
  await Deno.writeFile(`${file}.part`, bytes);
}

Deno.test("download fetches a file, with progress to its end, and asks no server the second time", async () => {
  const ranges = await withServer(whole, async (url, file) => {
    const seen: [number, number | undefined][] = [];
    const onProgress = ({ received, total }: { received: number; total?: number }) =>
      seen.push([received, total]);
    assert.equal(await download(url, { file, sha256, onProgress }), file);
    await assertComplete(file);
    assert.deepEqual(seen.at(-1), [content.length, content.length]);
    assert(seen.every(([received], i) => received > (seen[i - 1]?.[0] ?? 0)));
    await download(url, { file, sha256: sha256.toUpperCase() });
  });
  assert.deepEqual(ranges, [null]);
});

Deno.test("download replaces a file whose bytes were damaged since", async () => {
  await withServer(whole, async (url, file) => {
    await download(url, { file, sha256 });
    await Deno.writeFile(file, content.slice().fill(0, 1000, 1001));
    await download(url, { file, sha256 });
    await assertComplete(file);
  });
});

Deno.test("download goes on where an earlier call stopped", async () => {
  const ranges = await withServer(ranged, async (url, file) => {
    await writePart(file, content.subarray(0, 123_456));
    const totals = new Set<number | undefined>();
    await download(url, { file, sha256, onProgress: ({ total }) => totals.add(total) });
    await assertComplete(file);
    assert.deepEqual([...totals], [content.length]);
  });
  assert.deepEqual(ranges, ["bytes=123456-"]);
});

Deno.test("download starts over where the server ignores the range", async () => {
  const ranges = await withServer(whole, async (url, file) => {
    await writePart(file, content.subarray(0, 123_456));
    await download(url, { file, sha256 });
    await assertComplete(file);
  });
  assert.deepEqual(ranges, ["bytes=123456-"]);
});

Deno.test("download needs nothing more where the part file is already whole", async () => {
  await withServer(ranged, async (url, file) => {
    await writePart(file, content);
    await download(url, { file, sha256 });
    await assertComplete(file);
  });
});

for (
  const [what, handler] of [["that knows ranges", ranged], ["that ignores ranges", whole]] as const
) {
  Deno.test(`download mends wrong bytes of an earlier try, with a server ${what}`, async () => {
    await withServer(handler, async (url, file) => {
      await writePart(file, new Uint8Array(content.length + 10));
      await download(url, { file, sha256, retryDelay: 1 });
      await assertComplete(file);
    });
  });

  Deno.test(`download survives a connection that drops midway, with a server ${what}`, async () => {
    const drops = dropsAfter(100_000, handler);
    const ranges = await withServer(
      (request, number) => (number <= 2 ? drops : handler)(request, number),
      async (url, file) => {
        await download(url, { file, sha256, retryDelay: 1 });
        await assertComplete(file);
      },
    );
    assert.equal(ranges.length, 3);
    // Each try asks for what is missing after the bytes that arrived before.
    if (handler === ranged) assert.deepEqual(ranges, [null, "bytes=100000-", "bytes=200000-"]);
  });
}

Deno.test("download keeps what arrived where every try drops, and says what to do", async () => {
  const ranges = await withServer(dropsAfter(100_000, ranged), async (url, file) => {
    await assert.rejects(download(url, { file, sha256, retries: 1, retryDelay: 1 }), {
      name: "Error",
      message:
        /^Downloading http.*data\.bin: tried 2 times, and the last one failed: .*body.*\. Check the network and call again \(it goes on where it stopped\), or put the file at .*data\.bin by hand\.$/,
    });
    assert.deepEqual(await filesBeside(file), ["data.bin.part"]);
    assert.equal((await Deno.stat(`${file}.part`)).size, 200_000);
  });
  assert.equal(ranges.length, 2);
});

Deno.test("download says that the server has no such file, without trying again", async () => {
  const ranges = await withServer(
    () => new Response("nothing here", { status: 404, statusText: "Not Found" }),
    async (url, file) => {
      await assert.rejects(download(url, { file, sha256 }), {
        name: "Error",
        message: /^Downloading http.*data\.bin: the server answered 404 Not Found\.$/,
      });
      await assert.rejects(Deno.stat(`${file}.part`), Deno.errors.NotFound);
    },
  );
  assert.equal(ranges.length, 1);
});

Deno.test("download tries again where the server is busy", async () => {
  const ranges = await withServer(
    (request, number) =>
      number < 3 ? new Response("busy", { status: 503 }) : whole(request, number),
    async (url, file) => {
      await download(url, { file, sha256, retryDelay: 1 });
      await assertComplete(file);
    },
  );
  assert.equal(ranges.length, 3);
});

Deno.test("download waits twice as long before each new try", async () => {
  const times: number[] = [];
  await withServer(
    () => (times.push(performance.now()), new Response("busy", { status: 503 })),
    async (url, file) => {
      await assert.rejects(download(url, { file, sha256, retries: 2, retryDelay: 60 }), /503/);
    },
  );
  const [first, second, third] = times;
  assert(second! - first! >= 59 && third! - second! >= 119, String(times));
});

Deno.test("download refuses another file than the one expected, and keeps nothing of it", async () => {
  const ranges = await withServer(() => new Response("something else"), async (url, file) => {
    await assert.rejects(download(url, { file, sha256 }), {
      name: "Error",
      message: new RegExp(
        `^Downloading http.*data\\.bin: expected a file with the SHA-256 ${sha256}, found [0-9a-f]{64}\\. Nothing was kept\\.$`,
      ),
    });
    assert.deepEqual(await filesBeside(file), []);
  });
  assert.equal(ranges.length, 1);
});

Deno.test("download gives up on a server that falls silent", async () => {
  const controllers: ReadableStreamDefaultController[] = [];
  await withServer(
    () =>
      new Response(
        new ReadableStream({
          start(controller) {
            controllers.push(controller);
            controller.enqueue(content.subarray(0, 1000));
          },
        }),
      ),
    async (url, file) => {
      const options = { file, sha256, retries: 0, timeout: 1000 };
      await assert.rejects(download(url, options), {
        message: /tried 1 times.*nothing arrived for 1 s/,
      });
      assert.equal((await Deno.stat(`${file}.part`)).size, 1000);
    },
  );
});

Deno.test("download says that there is no server", async () => {
  // A port that was free a moment ago: nobody listens there.
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  const file = `${await Deno.makeTempDir()}/data.bin`;
  await assert.rejects(
    download(`http://127.0.0.1:${port}/data.bin`, { file, sha256, retries: 1, retryDelay: 1 }),
    { message: /tried 2 times, and the last one failed: .*[Cc]onnect.*Check the network/ },
  );
});

Deno.test("download stops at a signal, and keeps what arrived for the next call", async () => {
  await withServer(ranged, async (url, file) => {
    const controller = new AbortController();
    const reason = new Error("stopped");
    await assert.rejects(
      download(url, {
        file,
        sha256,
        signal: controller.signal,
        onProgress: () => controller.abort(reason),
      }),
      reason,
    );
    assert.deepEqual(await filesBeside(file), ["data.bin.part"]);
    await download(url, { file, sha256 });
    await assertComplete(file);
  });
});

Deno.test("download twice at once gives one whole file", async () => {
  await withServer(ranged, async (url, file) => {
    const options = { file, sha256, retryDelay: 1 };
    await Promise.all([1, 2, 3].map(() => download(url, options)));
    await assertComplete(file);
  });
});

Deno.test({
  name: "download says that the disk is full",
  ignore: Deno.build.os !== "linux", // /dev/full is Linux's disk that is always full.
  async fn() {
    await withServer(whole, async (url, file) => {
      await Deno.mkdir(file.slice(0, file.lastIndexOf("/")));
      await Deno.symlink("/dev/full", `${file}.part`);
      await assert.rejects(download(url, { file, sha256 }), {
        message: /^Writing .*data\.bin: the disk is full\. Free some space and call again/,
      });
    });
  },
});

Deno.test("download says which file it cannot write, and how to choose another folder", async () => {
  await withServer(whole, async (url, file) => {
    const folder = file.slice(0, file.lastIndexOf("/"));
    await Deno.writeTextFile(folder, "a file where a folder should be");
    await assert.rejects(download(url, { file, sha256 }), {
      message: /^Writing .*data\.bin: .*RESNET_LAB_CACHE can name another folder\.$/,
    });
  });
});

Deno.test("download refuses a SHA-256 that is none", async () => {
  await assert.rejects(download("http://127.0.0.1/", { file: "x", sha256: "8d4fb7e" }), {
    name: "RangeError",
    message:
      'Downloading http://127.0.0.1/: expected a SHA-256 of 64 hexadecimal digits, or 8 or more of its first, found "8d4fb7e".',
  });
});

Deno.test("download takes the first digits of a SHA-256 where no more is known", async () => {
  await withServer(whole, async (url, file) => {
    await download(url, { file, sha256: sha256.slice(0, 8) });
    await assertComplete(file);
    await assert.rejects(
      download(url, { file: `${file}.other`, sha256: "00000000" }),
      /expected a file with the SHA-256 00000000…, found [0-9a-f]{64}\. Nothing was kept/,
    );
    assert.deepEqual(await filesBeside(file), ["data.bin"]);
  });
});
