import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { download } from "../../lib/data/download.ts";

/** Large enough to arrive in several pieces. */
const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) >> 5);
const sha256 = createHash("sha256").update(content).digest("hex");

type Handler = (request: Request, number: number) => Response | Promise<Response>;

/**
 * Runs `test` with a local server and an empty folder; returns the `range` header of every request.
 */
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

/** A server that supports ranges. */
const ranged: Handler = (request) => {
  const start = request.headers.get("range")?.match(/^bytes=(\d+)-$/)?.[1];
  if (start === undefined) return new Response(content);
  if (Number(start) >= content.length) return new Response(null, { status: 416 });
  return new Response(content.subarray(Number(start)), { status: 206 });
};

/**
 * Announces all bytes of `handler`, sends the first ones, and breaks the connection.
 */
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

Deno.test("download() fetches a file once, with progress to its end", async () => {
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

Deno.test("download() replaces a file that was damaged later", async () => {
  await withServer(whole, async (url, file) => {
    await download(url, { file, sha256 });
    await Deno.writeFile(file, content.slice().fill(0, 1000, 1001));
    await download(url, { file, sha256 });
    await assertComplete(file);
  });
});

Deno.test("download() resumes where an earlier call stopped", async () => {
  const ranges = await withServer(ranged, async (url, file) => {
    await writePart(file, content.subarray(0, 123_456));
    const totals = new Set<number | undefined>();
    await download(url, { file, sha256, onProgress: ({ total }) => totals.add(total) });
    await assertComplete(file);
    assert.deepEqual([...totals], [content.length]);
  });
  assert.deepEqual(ranges, ["bytes=123456-"]);
});

Deno.test("download() starts over where the server ignores the range", async () => {
  const ranges = await withServer(whole, async (url, file) => {
    await writePart(file, content.subarray(0, 123_456));
    await download(url, { file, sha256 });
    await assertComplete(file);
  });
  assert.deepEqual(ranges, ["bytes=123456-"]);
});

Deno.test("download() accepts a part file that is already whole", async () => {
  await withServer(ranged, async (url, file) => {
    await writePart(file, content);
    await download(url, { file, sha256 });
    await assertComplete(file);
  });
});

for (
  const [what, handler] of [["that knows ranges", ranged], ["that ignores ranges", whole]] as const
) {
  Deno.test(`download() replaces wrong bytes of an earlier attempt, with a server ${what}`, async () => {
    await withServer(handler, async (url, file) => {
      await writePart(file, new Uint8Array(content.length + 10));
      await download(url, { file, sha256, retryDelay: 1 });
      await assertComplete(file);
    });
  });

  Deno.test(`download() survives a connection that drops midway, with a server ${what}`, async () => {
    const drops = dropsAfter(100_000, handler);
    const ranges = await withServer(
      (request, number) => (number <= 2 ? drops : handler)(request, number),
      async (url, file) => {
        await download(url, { file, sha256, retryDelay: 1 });
        await assertComplete(file);
      },
    );
    assert.equal(ranges.length, 3);
    // Each attempt requests the bytes after the ones that have arrived.
    if (handler === ranged) assert.deepEqual(ranges, [null, "bytes=100000-", "bytes=200000-"]);
  });
}

Deno.test("download() keeps the bytes that arrived where every attempt drops, and gives a remedy", async () => {
  const ranges = await withServer(dropsAfter(100_000, ranged), async (url, file) => {
    await assert.rejects(download(url, { file, sha256, retries: 1, retryDelay: 1 }), {
      name: "Error",
      message:
        /^Downloading http.*data\.bin: attempt 2 of 2 failed: .*body.*\. Check the network and call again to resume, or put the file at .*data\.bin by hand\.$/,
    });
    assert.deepEqual(await filesBeside(file), ["data.bin.part"]);
    assert.equal((await Deno.stat(`${file}.part`)).size, 200_000);
  });
  assert.equal(ranges.length, 2);
});

Deno.test("download() reports a file that the server does not have, without a retry", async () => {
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

Deno.test("download() retries where the server is busy", async () => {
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

Deno.test("download() waits twice as long before each retry", async () => {
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

Deno.test("download() refuses a file with another SHA-256, and removes it", async () => {
  const ranges = await withServer(() => new Response("something else"), async (url, file) => {
    await assert.rejects(download(url, { file, sha256 }), {
      name: "Error",
      message: new RegExp(
        `^Downloading http.*data\\.bin: the SHA-256 of the file must be ${sha256}, found [0-9a-f]{64}\\. The file was removed\\.$`,
      ),
    });
    assert.deepEqual(await filesBeside(file), []);
  });
  assert.equal(ranges.length, 1);
});

Deno.test("download() gives up on a server that falls silent", async () => {
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
        message: /attempt 1 of 1 failed.*nothing arrived for 1 s/,
      });
      assert.equal((await Deno.stat(`${file}.part`)).size, 1000);
    },
  );
});

Deno.test("download() reports a missing server", async () => {
  // A port that was free a moment ago, without a server.
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  const file = `${await Deno.makeTempDir()}/data.bin`;
  await assert.rejects(
    download(`http://127.0.0.1:${port}/data.bin`, { file, sha256, retries: 1, retryDelay: 1 }),
    { message: /attempt 2 of 2 failed: .*[Cc]onnect.*Check the network/ },
  );
});

Deno.test("download() stops at a signal, and keeps the bytes that arrived for the next call", async () => {
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

Deno.test("download() twice at once writes one whole file", async () => {
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

Deno.test("download() reports the file that it cannot write, and how to choose another folder", async () => {
  await withServer(whole, async (url, file) => {
    const folder = file.slice(0, file.lastIndexOf("/"));
    await Deno.writeTextFile(folder, "a file where a folder should be");
    await assert.rejects(download(url, { file, sha256 }), {
      message: /^Writing .*data\.bin: .*RESNET_LAB_CACHE can name another folder\.$/,
    });
  });
});

Deno.test("download() refuses a malformed SHA-256", async () => {
  await assert.rejects(download("http://127.0.0.1/", { file: "x", sha256: "8d4fb7e" }), {
    name: "RangeError",
    message:
      'Downloading http://127.0.0.1/: sha256 must be 64 hexadecimal digits, or at least the first 8 of them, found "8d4fb7e".',
  });
});

Deno.test("download() accepts the first digits of a SHA-256", async () => {
  await withServer(whole, async (url, file) => {
    await download(url, { file, sha256: sha256.slice(0, 8) });
    await assertComplete(file);
    await assert.rejects(
      download(url, { file: `${file}.other`, sha256: "00000000" }),
      /the SHA-256 of the file must be 00000000…, found [0-9a-f]{64}\. The file was removed/,
    );
    assert.deepEqual(await filesBeside(file), ["data.bin"]);
  });
});

const htmlPage: Handler = () =>
  new Response("<html>Please log in</html>", { headers: { "content-type": "text/html" } });

Deno.test("download() keeps the part file where a server sends a web page instead", async () => {
  const part = content.subarray(0, 270_000);
  let page = true;
  await withServer(
    (request, number) => (page ? htmlPage : ranged)(request, number),
    async (url, file) => {
      await writePart(file, part);
      await assert.rejects(download(url, { file, sha256 }), {
        name: "Error",
        message: new RegExp(
          `^Downloading http.*: the SHA-256 of the file must be ${sha256}, found [0-9a-f]{64}\\. ` +
            "It is a web page: perhaps the network asks for a log-in\\. The bytes of earlier calls stay in .*data\\.bin\\.part\\.$",
        ),
      });
      assert.deepEqual(await filesBeside(file), ["data.bin.part"]);
      assert.deepEqual(await Deno.readFile(`${file}.part`), part);
      page = false;
      await download(url, { file, sha256 });
      await assertComplete(file);
    },
  );
});

Deno.test("download() keeps the part file where a server continues with other bytes", async () => {
  // First the rest is wrong, then the whole is a web page, then everything is right.
  const wrongRest: Handler = () => new Response("<html>", { status: 206 });
  let good = false;
  const ranges = await withServer(
    (request, number) =>
      (good ? ranged : request.headers.has("range") ? wrongRest : htmlPage)(request, number),
    async (url, file) => {
      const part = content.subarray(0, 270_000);
      await writePart(file, part);
      await assert.rejects(download(url, { file, sha256, retryDelay: 1 }), /It is a web page/);
      assert.deepEqual(await Deno.readFile(`${file}.part`), part);
      good = true;
      await download(url, { file, sha256 });
      await assertComplete(file);
    },
  );
  assert.deepEqual(ranges, ["bytes=270000-", null, "bytes=270000-"]);
});

Deno.test("download() starts over where the server sends another range than requested", async () => {
  const ranges = await withServer(
    (request) =>
      request.headers.has("range")
        ? new Response(content.subarray(100_000), {
          status: 206,
          headers: { "content-range": `bytes 100000-299999/300000` },
        })
        : new Response(content),
    async (url, file) => {
      await writePart(file, content.subarray(0, 200_000));
      await download(url, { file, sha256, retryDelay: 1 });
      await assertComplete(file);
    },
  );
  assert.deepEqual(ranges, ["bytes=200000-", null]);
});

/** A body that never ends, in pieces. */
const endless = () =>
  new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
  });

Deno.test("download() accepts no more than maxBytes, whatever the server announces", async () => {
  const tooMany: [string, Handler][] = [
    ["endless", () => new Response(endless())],
    ["announced", () => new Response(endless(), { headers: { "content-length": "1000000000" } })],
  ];
  for (const [what, handler] of tooMany) {
    const ranges = await withServer(handler, async (url, file) => {
      await assert.rejects(download(url, { file, sha256, maxBytes: 300_000, retryDelay: 1 }), {
        name: "RangeError",
        message:
          /^Downloading http.*: the file must have at most 300000 bytes, found \d+ or more\. Check the address; a larger file needs a larger maxBytes\.$/,
      }, what);
      assert.deepEqual(await filesBeside(file), []);
    });
    assert.equal(ranges.length, 1, what);
  }
  await withServer(whole, async (url, file) => {
    await download(url, { file, sha256, maxBytes: 300_000 });
    await assertComplete(file);
  });
});

Deno.test("download() keeps a right part where more than maxBytes follow, and drops one that is too long", async () => {
  await withServer(
    (request, number) =>
      request.headers.has("range")
        ? new Response(endless(), { status: 206 })
        : ranged(request, number),
    async (url, file) => {
      await writePart(file, content.subarray(0, 200_000));
      const options = { file, sha256, maxBytes: 300_000, retryDelay: 1 };
      await assert.rejects(download(url, options), /must have at most 300000 bytes/);
      assert.deepEqual(await Deno.readFile(`${file}.part`), content.subarray(0, 200_000));
      await writePart(file, new Uint8Array(400_000));
      await download(url, options);
      await assertComplete(file);
    },
  );
});

Deno.test("download() removes leftover part files beside a whole file", async () => {
  await withServer(whole, async (url, file) => {
    await writePart(file, content);
    await Deno.writeFile(file, content);
    await Deno.writeFile(`${file}.new.part`, content);
    await download(url, { file, sha256 });
    await assertComplete(file);
  });
});

Deno.test("download() stops at a signal while it waits for a retry, with the signal's reason", async () => {
  await withServer(() => new Response("busy", { status: 503 }), async (url, file) => {
    const reason = new Error("stopped");
    const controller = new AbortController();
    const done = download(url, { file, sha256, retryDelay: 60_000, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 100);
    await assert.rejects(done, reason);
  });
});

Deno.test("download() refuses options that do not exist, of another kind, or out of range", async () => {
  const right = { file: "x", sha256 };
  const wrong: [object, string, string][] = [
    [
      { ...right, sha_256: "" },
      "TypeError",
      "there is no option sha_256. Did you mean sha256? The options are file, sha256, onProgress, signal, maxBytes, retries, " +
      "retryDelay, timeout, advice.",
    ],
    [{ sha256 }, "TypeError", "file must be a string, found undefined."],
    [{ file: "x" }, "TypeError", "sha256 must be a string, found undefined."],
    [
      { ...right, maxBytes: 0 },
      "RangeError",
      "maxBytes must be a whole number of at least 1, found 0.",
    ],
    [
      { ...right, retries: NaN },
      "RangeError",
      "retries must be a number from 0 to 2147483647, found NaN.",
    ],
    [
      { ...right, timeout: Infinity },
      "RangeError",
      "timeout must be a number from 1 to 2147483647, found Infinity.",
    ],
    [
      { ...right, retryDelay: -1 },
      "RangeError",
      "retryDelay must be a number from 0 to 2147483647, found -1.",
    ],
    [
      { ...right, signal: {} },
      "TypeError",
      "signal must be an AbortSignal such as controller.signal, found an object.",
    ],
  ];
  for (const [options, name, message] of wrong) {
    await assert.rejects(download("http://127.0.0.1/", options as typeof right), {
      name,
      message: `Downloading http://127.0.0.1/: ${message}`,
    });
  }
  await assert.rejects(download("data.bin", right), {
    name: "TypeError",
    message:
      'Downloading a file: the address must be a URL such as "https://example.org/file", found "data.bin".',
  });
});

Deno.test("download() refuses to write where there is a folder or a device", async () => {
  await withServer(whole, async (url, file) => {
    await Deno.mkdir(file, { recursive: true });
    await Deno.symlink("/dev/zero", `${file}.zero`);
    for (const path of [file, `${file}.zero`]) {
      await assert.rejects(download(url, { file: path, sha256 }), {
        message: new RegExp(
          `^Writing ${path}: the path must lead to a file, found something else\\. `,
        ),
      });
    }
  });
});
