package inventory

import (
	"bytes"
	"encoding/binary"
)

// HeadSize is how many of a file's first bytes tell what it is: tar has its mark the farthest behind.
const HeadSize = 512

// Formats of archives, and of what compresses one file.
const (
	formatTar  = "tar"
	formatGzip = "gzip"
	formatZstd = "zstd"
	formatBzip = "bzip2"
	formatXz   = "xz"
	formatZip  = "zip"
	formatAr   = "ar"
	formatRPM  = "rpm"
)

// archiveKind tells an archive by its first bytes; "" for what is none.
func archiveKind(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return formatZip
	case bytes.HasPrefix(head, []byte("\x1f\x8b\x08")):
		return formatGzip
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		return formatZstd
	case len(head) > 4 && bytes.HasPrefix(head, []byte("BZh")) && head[3] >= '1' && head[3] <= '9':
		return formatBzip
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return formatXz
	case bytes.HasPrefix(head, []byte("!<arch>\n")):
		return formatAr
	case bytes.HasPrefix(head, []byte("\xed\xab\xee\xdb")):
		return formatRPM
	case len(head) >= 263 && bytes.Equal(head[257:262], []byte("ustar")):
		return formatTar
	}
	return ""
}

// IsArchive tells by its first bytes, HeadSize of them or all, whether a file is an archive or compressed.
func IsArchive(head []byte) bool { return archiveKind(head) != "" }

// isProgram tells an executable or a library by its first bytes: ELF, PE, Mach-O (also for several processors), XCOFF and Plan 9.
func isProgram(head []byte) bool {
	if len(head) < 52 {
		return false
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		kind := binary.LittleEndian.Uint16(head[16:])
		if head[5] == 2 {
			kind = binary.BigEndian.Uint16(head[16:])
		}
		return kind == 2 || kind == 3
	case bytes.HasPrefix(head, []byte("MZ")):
		return true
	case bytes.HasPrefix(head, []byte{0x01, 0xDF}), bytes.HasPrefix(head, []byte{0x01, 0xF7}):
		return true
	}
	switch binary.BigEndian.Uint32(head) {
	case 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe:
		return true
	case 0xcafebabe: // also a Java class, which has its version here: 45 and above
		return binary.BigEndian.Uint32(head[4:]) < 40
	case 0x000001eb, 0x00008a97, 0x00000647, 0x0000064b: // Plan 9's a.out
		return true
	}
	return false
}

// isUPX tells a program that was packed with UPX.
func isUPX(head []byte) bool { return bytes.Contains(head, []byte("UPX!")) }
