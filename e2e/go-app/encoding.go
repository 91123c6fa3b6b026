package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bytes are hex in JSON.
type Bytes []byte

func (b Bytes) MarshalJSON() ([]byte, error) { return json.Marshal(hex.EncodeToString(b)) }

func (b *Bytes) UnmarshalJSON(text []byte) error {
	var digits string
	if err := json.Unmarshal(text, &digits); err != nil {
		return err
	}
	decoded, err := hex.DecodeString(digits)
	*b = decoded
	return err
}

var errNotExact = errors.New("not in the one encoding")

// A field's number, and whether it is one of several of which one may be there.
func tag(field reflect.StructField) (protowire.Number, bool) {
	number, rest, _ := strings.Cut(field.Tag.Get("pb"), ",")
	parsed, err := strconv.Atoi(number)
	if err != nil {
		panic(field.Name + " has no number")
	}
	return protowire.Number(parsed), rest == "oneof"
}

// encode writes the one encoding: fields in the order of their numbers (in which the structs list them), none that has its
// default value.
func encode(message any) []byte {
	value := reflect.Indirect(reflect.ValueOf(message))
	var out []byte
	for index := range value.NumField() {
		number, _ := tag(value.Type().Field(index))
		out = appendField(out, number, value.Field(index))
	}
	return out
}

func appendField(out []byte, number protowire.Number, field reflect.Value) []byte {
	switch kind := field.Kind(); {
	case kind == reflect.Pointer && field.IsNil():
		return out
	case kind == reflect.Pointer:
		return appendBytes(out, number, encode(field.Interface()))
	case kind == reflect.Slice && field.Type().Elem().Kind() != reflect.Uint8:
		for index := range field.Len() {
			element := field.Index(index)
			if element.Kind() == reflect.String {
				out = appendBytes(out, number, []byte(element.String()))
			} else {
				out = appendBytes(out, number, encode(element.Interface()))
			}
		}
		return out
	case field.IsZero() || kind == reflect.Slice && field.Len() == 0:
		return out
	case kind == reflect.Slice:
		return appendBytes(out, number, field.Bytes())
	case kind == reflect.String:
		return appendBytes(out, number, []byte(field.String()))
	default:
		out = protowire.AppendTag(out, number, protowire.VarintType)
		return protowire.AppendVarint(out, varint(field))
	}
}

func appendBytes(out []byte, number protowire.Number, value []byte) []byte {
	out = protowire.AppendTag(out, number, protowire.BytesType)
	return protowire.AppendBytes(out, value)
}

func varint(field reflect.Value) uint64 {
	switch field.Kind() {
	case reflect.Bool:
		return protowire.EncodeBool(field.Bool())
	case reflect.Int32:
		return uint64(field.Int())
	default:
		return field.Uint()
	}
}

// decode reads what encode writes and nothing else.
func decode[M any](encoded []byte) (*M, error) {
	message := new(M)
	if err := decodeInto(encoded, reflect.ValueOf(message).Elem()); err != nil {
		return nil, err
	}
	if !bytes.Equal(encode(message), encoded) {
		return nil, errNotExact
	}
	return message, nil
}

func decodeInto(encoded []byte, message reflect.Value) error {
	for len(encoded) > 0 {
		number, wire, length := protowire.ConsumeTag(encoded)
		if length < 0 {
			return errNotExact
		}
		encoded = encoded[length:]
		field, ok := fieldOf(message, number)
		if !ok {
			return errNotExact
		}
		var err error
		if encoded, err = consume(encoded, wire, field); err != nil {
			return err
		}
	}
	return atMostOne(message)
}

func fieldOf(message reflect.Value, number protowire.Number) (reflect.Value, bool) {
	for index := range message.NumField() {
		if found, _ := tag(message.Type().Field(index)); found == number {
			return message.Field(index), true
		}
	}
	return reflect.Value{}, false
}

func atMostOne(message reflect.Value) error {
	set := 0
	for index := range message.NumField() {
		if _, oneof := tag(message.Type().Field(index)); oneof && !message.Field(index).IsNil() {
			set++
		}
	}
	if set > 1 {
		return errNotExact
	}
	return nil
}

func consume(encoded []byte, wire protowire.Type, field reflect.Value) ([]byte, error) {
	switch field.Kind() {
	case reflect.Bool, reflect.Int32, reflect.Uint32, reflect.Uint64:
		value, length := protowire.ConsumeVarint(encoded)
		if wire != protowire.VarintType || length < 0 {
			return nil, errNotExact
		}
		switch field.Kind() {
		case reflect.Bool:
			field.SetBool(value != 0)
		case reflect.Int32:
			field.SetInt(int64(int32(value)))
		case reflect.Uint32:
			field.SetUint(uint64(uint32(value)))
		default:
			field.SetUint(value)
		}
		return encoded[length:], nil
	}
	value, length := protowire.ConsumeBytes(encoded)
	if wire != protowire.BytesType || length < 0 {
		return nil, errNotExact
	}
	return encoded[length:], set(field, value)
}

func set(field reflect.Value, value []byte) error {
	switch kind := field.Kind(); {
	case kind == reflect.String:
		if !utf8.Valid(value) {
			return errNotExact
		}
		field.SetString(string(value))
	case kind == reflect.Pointer:
		field.Set(reflect.New(field.Type().Elem()))
		return decodeInto(value, field.Elem())
	case field.Type().Elem().Kind() == reflect.Uint8:
		field.SetBytes(bytes.Clone(value))
	case field.Type().Elem().Kind() == reflect.String:
		if !utf8.Valid(value) {
			return errNotExact
		}
		field.Set(reflect.Append(field, reflect.ValueOf(string(value))))
	default:
		element := reflect.New(field.Type().Elem().Elem())
		field.Set(reflect.Append(field, element))
		return decodeInto(value, element.Elem())
	}
	return nil
}
