import { byId } from './dom.ts';

/** Folders that the user drops on the page or chooses: their files, without those of folders inside. */
export function onFolder(take: (name: string, files: File[]) => void): void {
  const input = byId<HTMLInputElement>('folder');
  byId('choose').addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    const all = [...(input.files ?? [])];
    const files = all.filter(({ webkitRelativePath }) => webkitRelativePath.split('/').length <= 2);
    const name = all[0]?.webkitRelativePath.split('/')[0] ?? 'the folder';
    input.value = '';
    if (files.length > 0) take(name, files);
  });

  addEventListener('dragover', (event) => {
    event.preventDefault();
    byId('drop').classList.add('over');
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) byId('drop').classList.remove('over');
  });
  addEventListener('drop', async (event) => {
    event.preventDefault();
    byId('drop').classList.remove('over');
    // All entries have to be asked for before the first wait.
    const entries = [...(event.dataTransfer?.items ?? [])].flatMap((item) => item.webkitGetAsEntry() ?? []);
    const folder = entries.find((entry) => entry.isDirectory) as FileSystemDirectoryEntry | undefined;
    const inside = folder ? await entriesOf(folder) : entries;
    const files = await Promise.all(inside.filter((entry) => entry.isFile).map((entry) => fileOf(entry)));
    if (files.length > 0 || folder) take(folder?.name ?? 'the files', files);
  });
}

async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  // Given in batches, the last of which is empty.
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (batch.length === 0) return all;
    all.push(...batch);
  }
}

function fileOf(entry: FileSystemEntry): Promise<File> {
  return new Promise((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
}
