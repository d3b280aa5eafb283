package sign

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sello-release/sello/internal/gate"
)

// maxKeyFile bounds a key file, in bytes.
const maxKeyFile = 64 << 10

// ReadKeyFile reads a private key from a file. On Unix it refuses, with
// key-file-permissions, a file that others than its owner can read or write.
func ReadKeyFile(path string, ask Passphrase) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, &gate.Refusal{Code: "key-malformed", Class: gate.Usage, What: "a key file has to be a regular file", Where: path, Actual: info.Mode().Type().String(),
			Fix: "give the path of a key file"}
	}
	if open := othersMay(info.Mode()); open != 0 {
		return nil, &gate.Refusal{Code: "key-file-permissions", Class: gate.Usage, What: "others can use this private key", Where: path,
			Expected: "mode 0600", Actual: fmt.Sprintf("mode %04o", info.Mode().Perm()), Fix: "chmod 600 " + path}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	defer clear(data)
	k, err := ParseKey(data, ask)
	var r *gate.Refusal
	if errors.As(err, &r) && r.Where == "" {
		r.Where = path
	}
	return k, err
}

// WriteKeyFile writes a private key to a new file with mode 0600, encrypted when
// there is a passphrase. It refuses, with key-exists, to write over anything.
func WriteKeyFile(path string, k *Key, passphrase []byte) error {
	data, err := k.PrivatePEM(passphrase)
	if err != nil {
		return err
	}
	defer clear(data)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &gate.Refusal{Code: "key-exists", Class: gate.Usage, What: "there is something at the new key's path already", Where: path,
			Fix: "choose another path; a key is never overwritten"}
	}
	if err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	if err := fill(f, data); err != nil {
		os.Remove(path)
		return fmt.Errorf("write key file: %w", err)
	}
	return nil
}

func fill(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(0o600)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
