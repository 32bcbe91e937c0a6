package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/windows/registry"
)

// Bounds of one key of the registry.
const (
	maxSubkeys    = 65536
	maxKeyValues  = 4096
	maxValueBytes = 1 << 20  // of one value; more is a value that failed
	maxKeyBytes   = 16 << 20 // of all values together
)

// Key implements Reader.
func (windowsReader) Key(ctx context.Context, name string) (RegistryKey, error) {
	if !isKeyPath(name) || strings.ContainsRune(name, 0) {
		return RegistryKey{}, fmt.Errorf("read key %s: %w", name, fs.ErrInvalid)
	}
	key, err := within(ctx, func() (RegistryKey, error) { return readKey(ctx, name) })
	if err != nil {
		return RegistryKey{}, fmt.Errorf("read key %s: %w", name, coded(err))
	}
	return key, nil
}

func readKey(ctx context.Context, name string) (RegistryKey, error) {
	root, below, _ := strings.Cut(name, `\`)
	hive := registry.LOCAL_MACHINE
	if strings.EqualFold(root, "HKU") {
		hive = registry.USERS
	}
	k, err := registry.OpenKey(hive, below, registry.READ|registry.WOW64_64KEY)
	if err != nil {
		return RegistryKey{}, err
	}
	defer k.Close()
	info, err := k.Stat()
	if err != nil {
		return RegistryKey{}, err
	}
	if info.SubKeyCount > maxSubkeys || info.ValueCount > maxKeyValues {
		return RegistryKey{}, ErrTooLarge
	}
	var key RegistryKey
	if key.Keys, err = subkeys(k); err != nil {
		return RegistryKey{}, err
	}
	if key.Values, err = keyValues(ctx, k); err != nil {
		return RegistryKey{}, err
	}
	return key, nil
}

func subkeys(k registry.Key) ([]string, error) {
	list, err := k.ReadSubKeyNames(maxSubkeys + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(list) > maxSubkeys {
		return nil, ErrTooLarge
	}
	slices.Sort(list)
	return list, nil
}

// keyValues reads the values of a key. One that cannot be read does not lose
// the others.
func keyValues(ctx context.Context, k registry.Key) (Values, error) {
	list, err := k.ReadValueNames(maxKeyValues + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(list) > maxKeyValues {
		return nil, ErrTooLarge
	}
	values := make(Values, len(list))
	total := 0
	for _, name := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, kind, err := valueBytes(k, name)
		if total += len(data); total > maxKeyBytes {
			return nil, ErrTooLarge
		}
		switch {
		case errors.Is(err, registry.ErrNotExist):
			// It was taken away since it was listed, or its name is not a text.
		case err != nil:
			values[name] = FailedValue(coded(err))
		default:
			if v, ok := registryValue(kind, data); ok {
				values[name] = v
			}
		}
	}
	return values, nil
}

// valueBytes returns the bytes of a value and its type.
func valueBytes(k registry.Key, name string) ([]byte, uint32, error) {
	data := make([]byte, 256)
	for {
		n, kind, err := k.GetValue(name, data)
		switch {
		case err == nil:
			return data[:n], kind, nil
		case !errors.Is(err, registry.ErrShortBuffer):
			return nil, 0, err
		case n > maxValueBytes:
			return nil, 0, ErrTooLarge
		case n <= len(data): // it grows while it is read, or is one that never says how large
			n = min(2*len(data), maxValueBytes)
			if n == len(data) {
				return nil, 0, ErrTooLarge
			}
		}
		data = make([]byte, n)
	}
}
