import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { pretrained } from "resnet-lab";
import { readFromHub } from "../../lib/weights/pretrained.ts";
import { fixture, plain } from "./_helpers.ts";

/** Runs `body` with a hub of one file, an empty cache folder, and a list of requested paths. */
async function withHub(
  content: Uint8Array<ArrayBuffer>,
  body: (hub: string, requests: string[], cache: string) => Promise<void>,
): Promise<void> {
  const requests: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    requests.push(new URL(request.url).pathname);
    return new Response(content);
  });
  const cache = await Deno.makeTempDir();
  const previous = Deno.env.get("RESNET_LAB_CACHE");
  Deno.env.set("RESNET_LAB_CACHE", cache);
  try {
    await body(`http://127.0.0.1:${server.addr.port}/models`, requests, cache);
  } finally {
    if (previous === undefined) Deno.env.delete("RESNET_LAB_CACHE");
    else Deno.env.set("RESNET_LAB_CACHE", previous);
    await server.shutdown();
    await Deno.remove(cache, { recursive: true });
  }
}

const content = await Deno.readFile(fixture("layouts.pth"));
const digits = createHash("sha256").update(content).digest("hex").slice(0, 8);

Deno.test("pretrained() weights are downloaded once, checked against the digits in the name, and kept", async () => {
  await withHub(content, async (hub, requests, cache) => {
    const seen: number[] = [];
    const onProgress = ({ received }: { received: number }) => seen.push(received);
    const tensors = await readFromHub(`tiny-${digits}.pth`, { hub, onProgress });
    assert.deepEqual(plain(tensors).transposed, ["F32", [3, 2], [0, 3, 1, 4, 2, 5]]);
    assert.equal(seen.at(-1), content.length);
    assert.deepEqual(await Deno.readFile(`${cache}/torchvision/tiny-${digits}.pth`), content);
    await readFromHub(`tiny-${digits}.pth`, { hub });
    assert.deepEqual(requests, [`/models/tiny-${digits}.pth`]);
  });
});

Deno.test("pretrained() weights of another SHA-256 are refused, and not kept", async () => {
  await withHub(content, async (hub, _requests, cache) => {
    await assert.rejects(readFromHub("tiny-01234567.pth", { hub }), {
      name: "Error",
      message:
        /^Downloading .*tiny-01234567\.pth: the SHA-256 of the file must be 01234567…, found [0-9a-f]{64}\. The file was removed\.$/,
    });
    assert.deepEqual([...Deno.readDirSync(`${cache}/torchvision`)], []);
  });
});

Deno.test("pretrained() names the networks that there are", async () => {
  await assert.rejects(
    // @ts-expect-error: no such network
    pretrained("resnet1000"),
    {
      name: "RangeError",
      message:
        /^Loading pretrained weights: the network must be one of "alexnet", "vgg11", .*, "resnet152", found "resnet1000"\. Did you mean "resnet101"\?$/,
    },
  );
});

Deno.test("pretrained() refuses options that do not exist", async () => {
  await assert.rejects(pretrained("resnet18", { progress: true } as object), {
    name: "TypeError",
    message:
      "Loading pretrained weights: there is no option progress. Did you mean onProgress? The options are onProgress, signal.",
  });
});

Deno.test("pretrained() weights are held to all digits that are known, and to a size", async () => {
  await withHub(content, async (hub, _requests, cache) => {
    const full = createHash("sha256").update(content).digest("hex");
    const other = digits + "0".repeat(56);
    await assert.rejects(readFromHub(`tiny-${digits}.pth`, { hub, sha256: other }), {
      name: "Error",
      message: new RegExp(`: the SHA-256 of the file must be ${other}, found ${full}`),
    });
    const maxBytes = content.length - 1;
    await assert.rejects(readFromHub(`tiny-${digits}.pth`, { hub, sha256: full, maxBytes }), {
      name: "RangeError",
      message: new RegExp(`: the file must have at most ${maxBytes} bytes`),
    });
    assert.deepEqual([...Deno.readDirSync(`${cache}/torchvision`)], []);
  });
});
