/** What people are told where the system refuses something: a path that is missing, a disk that is full. */

const MEANINGS: Record<string, string> = {
  ENOENT: 'no such file or folder',
  EISDIR: 'it is a folder, a file is expected',
  ENOTDIR: 'a part of the path is a file, a folder is expected there',
  EACCES: 'permission denied',
  EPERM: 'the system does not permit it',
  EROFS: 'the file system can only be read',
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the space that is allowed on the disk is used up',
  EFBIG: 'the file system takes no file of that size',
  EEXIST: 'something of that name is there already',
  ENOTEMPTY: 'the folder is not empty',
  EBUSY: 'it is in use',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
  EIO: 'the disk or the device failed',
  ENXIO: 'there is no such device',
};

/**
 * What an error of the system means, in words and without its path; undefined for errors of other origin, which have
 * no system call.
 */
export function systemMeaning(error: unknown): string | undefined {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return undefined;
  return MEANINGS[code] ?? message;
}
