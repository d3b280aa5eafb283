package sbom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sello-release/sello/internal/license"
)

// Tags of RPM's header that are of interest, and the types of their values.
const (
	rpmName      = 1000
	rpmVersion   = 1001
	rpmRelease   = 1002
	rpmEpoch     = 1003
	rpmVendor    = 1011
	rpmLicense   = 1014
	rpmURL       = 1020
	rpmArch      = 1022
	rpmSourceRPM = 1044

	rpmInt32  = 4
	rpmString = 6
)

// rpmTypes are the types of the tags of interest.
var rpmTypes = map[uint32]uint32{rpmName: rpmString, rpmVersion: rpmString, rpmRelease: rpmString, rpmEpoch: rpmInt32,
	rpmLicense: rpmString, rpmVendor: rpmString, rpmURL: rpmString, rpmArch: rpmString, rpmSourceRPM: rpmString}

// maxHeader bounds the header of one RPM package, in bytes.
const maxHeader = 32 << 20

// errRPM says that the header of a package contradicts its format.
var errRPM = errors.New("not a proper RPM header")

// rpm reads the packages out of RPM's SQLite database: each row of Packages holds the header of one.
func (s *Scan) rpm(name string, r io.Reader) error {
	in, err := NewSpool(r, maxRPM)
	if errors.Is(err, ErrSpoolFull) {
		return tooLarge(name, fmt.Sprintf("at most %d bytes", maxRPM))
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer in.Close()
	err = s.rpmTable(name, in)
	if errors.Is(err, errSQLite) || errors.Is(err, errRPM) {
		return malformed(name, 0, err.Error())
	}
	return err
}

func (s *Scan) rpmTable(name string, in *Spool) error {
	db, err := openSQLite(in, in.Size)
	if err != nil {
		return err
	}
	var root int64
	err = db.rows(1, func(_ int64, row []byte) error { // the schema: type, name, table, root page, statement
		columns, err := sqliteColumns(row)
		if err == nil && len(columns) > 3 && string(columns[0].data) == "table" && strings.EqualFold(string(columns[1].data), "Packages") {
			if root != 0 {
				err = fmt.Errorf("%w: two tables Packages", errSQLite)
			}
			root = columns[3].number
		}
		return err
	})
	if err != nil {
		return err
	}
	if root == 0 {
		return fmt.Errorf("%w: no table Packages", errSQLite)
	}
	return db.rows(root, func(id int64, row []byte) error {
		columns, err := sqliteColumns(row)
		if err != nil {
			return err
		}
		if len(columns) != 2 || columns[1].data == nil {
			return fmt.Errorf("%w: row %d of table Packages", errSQLite, id)
		}
		p, err := rpmPackage(columns[1].data)
		if err != nil {
			return fmt.Errorf("row %d of table Packages: %w", id, err)
		}
		if p.Name == "gpg-pubkey" { // a key, which RPM keeps among the packages
			return nil
		}
		return s.add(name, 0, p)
	})
}

// RPMHeader reads the header of a package, from behind its magic on: of a row of RPM's database, or of a package's file.
func RPMHeader(b []byte) (OSPackage, error) { return rpmPackage(b) }

// rpmPackage reads a header: the numbers of its entries and of its bytes of data, the entries (tag, type, offset, count), the data.
func rpmPackage(b []byte) (OSPackage, error) {
	if len(b) < 8 {
		return OSPackage{}, fmt.Errorf("%w: %d bytes", errRPM, len(b))
	}
	entries, size := int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))
	if entries*16+size != int64(len(b)-8) {
		return OSPackage{}, fmt.Errorf("%w: %d entries and %d bytes of data in %d bytes", errRPM, entries, size, len(b))
	}
	index, data := b[8:8+entries*16], b[8+entries*16:]
	fields := map[uint32]string{}
	for ; len(index) > 0; index = index[16:] {
		tag := binary.BigEndian.Uint32(index)
		want, ok := rpmTypes[tag]
		if !ok {
			continue
		}
		kind, at, count := binary.BigEndian.Uint32(index[4:]), binary.BigEndian.Uint32(index[8:]), binary.BigEndian.Uint32(index[12:])
		if kind != want || count != 1 || int64(at) >= size {
			return OSPackage{}, fmt.Errorf("%w: tag %d of type %d, %d of them", errRPM, tag, kind, count)
		}
		value, err := rpmValue(kind, data[at:])
		if err != nil {
			return OSPackage{}, fmt.Errorf("%w: tag %d", err, tag)
		}
		if other, ok := fields[tag]; ok && other != value {
			return OSPackage{}, fmt.Errorf("%w: tag %d for a second time", errRPM, tag)
		}
		fields[tag] = value
	}
	return rpmChecked(fields)
}

func rpmValue(kind uint32, data []byte) (string, error) {
	if kind == rpmInt32 {
		if len(data) < 4 {
			return "", errRPM
		}
		return strconv.FormatUint(uint64(binary.BigEndian.Uint32(data)), 10), nil
	}
	end := bytes.IndexByte(data, 0)
	if end < 0 || end > license.MaxExpression {
		return "", errRPM
	}
	return string(data[:end]), nil
}

// rpmChecked makes a package of the values of a header.
func rpmChecked(fields map[uint32]string) (OSPackage, error) {
	p := OSPackage{Type: typeRPM, Name: fields[rpmName], Version: fields[rpmVersion] + "-" + fields[rpmRelease], Epoch: fields[rpmEpoch],
		Arch: fields[rpmArch], License: fields[rpmLicense], Source: fields[rpmSourceRPM],
		Supplier: text(fields[rpmVendor]), Homepage: text(fields[rpmURL])}
	if p.Source == "(none)" {
		p.Source = ""
	}
	const letters = "._+~^-%{}"
	switch {
	case !isWord(p.Name, letters):
		return p, fmt.Errorf("%w: package %q", errRPM, p.Name)
	case !isWord(fields[rpmVersion], letters+":"), !isWord(fields[rpmRelease], letters+":"):
		return p, fmt.Errorf("%w: package %s of version %q", errRPM, p.Name, p.Version)
	case p.Arch != "" && !isWord(p.Arch, "_-"):
		return p, fmt.Errorf("%w: package %s for architecture %q", errRPM, p.Name, p.Arch)
	case p.Source != "" && !isWord(p.Source, letters+":"):
		return p, fmt.Errorf("%w: package %s of source %q", errRPM, p.Name, p.Source)
	}
	return p, nil
}
