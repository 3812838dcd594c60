/** Which files are read as pictures. */

/** The ends of the names of files that are read. */
export const EXTENSIONS = [".avif", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"];

/** The reason why a path is not read. */
export const NOT_A_FILE = "It must be a file, found a pipe, socket or device";

/** The size of a file and the time of its last change, by which a changed file is noticed. */
export interface FileVersion {
  readonly size: number;
  /** In milliseconds since 1970; 0 where the system has no times. */
  readonly time: number;
}

/** Returns the version of a file. */
export function versionOf({ size, mtime }: Deno.FileInfo): FileVersion {
  return { size, time: mtime?.getTime() ?? 0 };
}
