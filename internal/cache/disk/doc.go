// Package disk keeps stored responses in a directory: a [stored.Store] behind the memory of a cache, which survives a restart. It decides nothing about their
// use; it knows no policy, and none of the other stores. The cache imports it.
//
// # Layout
//
//	lock             held (flock) while a gateway uses the directory
//	marks            purges that objects may be older than
//	00/ … 3f/        64 folders of objects
//	    <32 digits>         an object: the name is the beginning of its key's SHA-256, in hexadecimal digits
//	    <32 digits>.head    its head, where that was renewed and the body is long
//	    new-…               what is being written
//
// Directories have the mode 0700, files 0600. All else that is there is left alone. Links are not followed in the directory, only on the way to it.
//
// An object's file is a prefix of 16 bytes, the body in blocks of 64 KiB with a sum of 8 bytes (XXH64) behind each, the head, and a footer of 64 bytes with
// lengths, a sum of the head, and a version. Each sum also stands for the object and the place in it. The file is written under a temporary name, gets its own when it is
// whole, and is never changed then. When the head of an object is renewed (a 304), a file of up to 64 KiB is written anew; of a larger one, the head
// alone, beside it.
//
// # Promises
//
// No byte is given to anybody whose block was not found to be as it was written: a process that was killed, a machine that lost its power,
// a file that was cut off, changed, exchanged or written by another version leads to an object that is not there. It is removed when that is found. A
// long body is checked block by block as it is read; when one in its middle is damaged, the reader gets an error there, and nobody else gets the object.
// The sums are against accidents. They are no defence against those who can write in the directory.
//
// Objects are not synced. After the end of the process, all that were stored are there. After that of the machine, the latest may not be: what the
// system had not written in time is damaged or missing, or an older one with the same key is back, which by its own terms may be used.
//
// Purges are synced before SaveMark returns. NoteMark does not wait: after the end of the machine, the latest of these may be forgotten. The file of marks
// also has the epoch of the directory, a number by chance that all objects bear. When the file is missing, cut off or damaged, there is another epoch: everything
// counts as purged, and is removed. The numbers of purges never go back; they leap at each start, beyond all that objects may bear whose
// purge was not saved.
//
// # Limits
//
// Options.Limit is the room on the disk: whole blocks of the file system, names, and the folders count, and so do files that are being written, and those that
// have no name any more but a reader. Room is made before something is written. A body takes 64 KiB of memory while it is written or read, however long it is.
// An object takes about 90 bytes of memory. Up to 64 files of long bodies stay open after their use.
//
// What goes first is decided as S3-FIFO does: what is asked for once passes through a tenth of the room; only what is asked for again gets into the rest. Large
// objects must be asked for more often, and those past all use get no second chance. What the memory in front answers is not seen here.
//
// At the start, names and lengths of all files are read, not the files themselves (100,000 in about 0.3 s). Open waits up to 2 seconds for that; then it
// goes on in the background, objects are found by their names meanwhile, and nothing is stored before it is known how much is there.
//
// # Faults
//
// No fault of the disk becomes an error of a request. When the disk is full or may not be written, what is there is read, and nothing is added. When the
// directory is lost (removed, not permitted, no more files to open, an error of the device while a file is made), the store is as if it were empty. Both are said once in the log; a
// goroutine tries to write 1 MiB after 1, 2, 4, … up to 30 seconds, and takes the directory into use again when it can. What could not be removed when it had to be makes
// everything count as purged then. When a purge cannot be saved, SaveMark returns an error, and the file of marks is removed if possible, so that nothing is used
// after a restart; once the disk can be written, it is written again.
//
// Requests wait for the disk themselves. A disk that does not answer holds up those who ask it, at most 256; all others find nothing there.
package disk
